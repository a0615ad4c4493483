def two_fer(name="you"):
    """Says who gets the two cookies."""
    return f"One for {name}, one for me."
