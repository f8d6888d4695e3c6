"""Names that were probably meant: the nearest of those allowed, told beside one that is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NEAR = 0.75
"""Least likeness of two names (`difflib`): one letter wrong, missing, too many or swapped in four."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that is most like `name`, whatever its capitals; None: none is near.

    >>> nearest("every_label", ["every_labels", "min_labels"])
    'every_labels'
    """
    by_folded = {one.casefold(): one for one in sorted(allowed, reverse=True)}
    near = difflib.get_close_matches(name.casefold(), sorted(by_folded), n=1, cutoff=NEAR)
    return by_folded[near[0]] if near else None


def meant(name: str, allowed: Iterable[str]) -> str:
    """` (is 'x' meant?)`, to stand behind a name that is not allowed; empty where none is near."""
    near = nearest(name, allowed)
    return "" if near is None else f" (is '{near}' meant?)"
