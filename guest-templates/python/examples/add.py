"""The smallest function: two numbers in, one out."""


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b
