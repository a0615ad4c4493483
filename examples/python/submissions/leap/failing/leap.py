def is_leap(year):
    """Whether the Gregorian calendar gives this year another day."""
    return year % 4 == 0 and year % 100 != 0
