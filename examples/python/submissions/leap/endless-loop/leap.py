def is_leap(year):
    """Goes back from leap year to leap year, and never stops."""
    leap = 2000
    while leap != year:
        leap -= 4
    return True
