"""Names that were probably meant: the nearest of those allowed, told beside one that is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

NEAR = 0.75
"""Least likeness of two names (`difflib`): one letter wrong, missing, too many or swapped in four."""

_QUOTED = re.compile(r"'([^']*)'")


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


def meant_choice(problem: Mapping[str, Any]) -> str:
    """The same of a problem that pydantic found, where one of some words is allowed; else empty.

    >>> meant_choice({"type": "literal_error", "input": "reed", "ctx": {"expected": "'read' or 'admin'"}})
    " (is 'read' meant?)"
    """
    came = problem["input"]
    if problem["type"] not in ("literal_error", "enum") or not isinstance(came, str):
        return ""
    return meant(came, _QUOTED.findall(problem["ctx"]["expected"]))


def misspelt(missing: Collection[str], strays: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """By name that is missing, the stray that was probably meant for it.

    Args:
        missing: some of `names`.
        strays: what is there under none of `names`; each is meant for the nearest of them, if for any.
        names: all that may be there.

    >>> misspelt(["day", "evening"], ["evning", "hour"], ["day", "evening", "night"])
    {'evening': 'evning'}
    """
    meant_for: dict[str, list[str]] = {}
    for stray in strays:
        if (name := nearest(stray, names)) is not None:
            meant_for.setdefault(name, []).append(stray)
    return {
        name: nearest(name, meant_for[name]) or meant_for[name][0] for name in missing if name in meant_for
    }
