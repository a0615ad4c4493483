def hello():
    """The traditional greeting."""
    print("I am about to greet", "the world")
    return "Hello World"
