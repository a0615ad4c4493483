def two_fer(name=""):
    """Says who gets the two cookies, if it is told."""
    return f"One for {name}, one for me."
