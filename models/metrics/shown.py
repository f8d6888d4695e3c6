"""Figures for people: as many digits as it takes that what differs does not look the same."""

from __future__ import annotations

DIGITS = 4
MOST_DIGITS = 9
SAME = 0.5 * 10**-MOST_DIGITS
"""Sums of floats in another order differ by less: values within it are one."""


def digits_for(*pairs: tuple[float, float], least: int = DIGITS) -> int:
    """Digits after the point by which the two of each pair, and their difference, are told apart.

    Args:
        pairs: two values each; those within `SAME` of each other, or undefined, need no more digits.
        least: where they are told apart by so many.

    >>> digits_for((0.75, 0.5)), digits_for((0.76421, 0.76424)), digits_for((0.5, 0.5))
    (4, 5, 4)
    """
    return max((_digits(one, other, least) for one, other in pairs), default=least)


def _digits(one: float, other: float, least: int) -> int:
    for digits in range(least, MOST_DIGITS + 1):
        if f"{one:.{digits}f}" != f"{other:.{digits}f}" and abs(one - other) >= 0.5 * 10**-digits:
            return digits
    return least
