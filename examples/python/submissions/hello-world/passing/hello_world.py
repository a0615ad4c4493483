def hello():
    """The traditional greeting."""
    return "Hello, World!"
