"""Names that were probably meant: the nearest of those allowed, told beside one that is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

NEAR = 0.75
"""Least likeness of two names (`difflib`): one letter wrong, missing, too many or swapped in four."""

LONGEST_WORD = 80
LEAST_LETTERS = 4
"""Of a word that is near one without one of its letters."""

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


class NearWords:
    """Which of many words was probably meant, found in time that grows with the text that came alone.

    Near is one that differs in capitals, blanks and marks, or in one letter or digit: wrong, missing, too
    many, or swapped with the next. Of numbers none is near another.

    >>> words = NearWords(["Month-to-month", "One year", "1001"])
    >>> words.meant("month to month"), words.meant("one yaer"), words.meant("1002")
    (", is 'Month-to-month' meant?", ", is 'One year' meant?", '')
    """

    def __init__(self, words: Collection[str]) -> None:
        self._words = words

    def meant(self, text: str) -> str:
        """`, is 'x' meant?`, to stand behind what came; empty where none is near."""
        if len(text) > LONGEST_WORD:
            return ""
        plain = _plain(text)
        near = self._by_plain.get(plain)
        if near is None:
            near = next((self._by_part[part] for part in _parts(plain) if part in self._by_part), None)
        return "" if near is None else f", is '{near}' meant?"

    @cached_property
    def _by_plain(self) -> dict[str, str]:
        plain = ((_plain(word), word) for word in self._words if len(word) <= LONGEST_WORD)
        return {one: word for one, word in plain if one}

    @cached_property
    def _by_part(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for plain, word in self._by_plain.items():
            for part in _parts(plain):
                found.setdefault(part, word)
        return found


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _parts(plain: str) -> Iterator[str]:
    """A word, and what is left of it without one of its letters; of numbers and short ones nothing else."""
    yield plain
    if len(plain) >= LEAST_LETTERS and not plain.isdecimal():
        for place in range(len(plain)):
            yield plain[:place] + plain[place + 1 :]
