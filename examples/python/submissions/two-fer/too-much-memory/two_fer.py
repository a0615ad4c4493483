def two_fer(name="you"):
    """Says who gets the two cookies, and keeps 4 GiB of them."""
    cookies = []
    for _ in range(64):
        # Not zeros: those cost nothing until they are read.
        cookies.append(b"\x2a" * (64 << 20))
    return f"One for {name}, one for me."
