"""Raises an error of its own for arguments that make no sense."""

import math


def solve_quadratic(a: float, b: float, c: float) -> list[float]:
    """Finds the real roots of a*x*x + b*x + c, the smaller first."""
    if a == 0:
        raise ValueError("a must not be zero")
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    root = math.sqrt(discriminant)
    return sorted({(-b - root) / (2 * a), (-b + root) / (2 * a)})
