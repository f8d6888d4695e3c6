"""Which words are in more, or in fewer, texts than before: how far, how certain, and in a sentence.

A text has no number, but each word is in it or not. Looked at is every word, by exact counts of the texts
that it is in, for as many words as there are. So texts of another matter are found whose lengths are as
before, and whose words are all familiar. Words of which each is in next to no text, as those of another
language are or words typed wrong, are looked at together: texts of which some, or most, words are rare.
What is rare both samples say as one, so that the counts are exact again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from configs.spelling.letters import compose
from features.encoders.date_and_text_features import VOCABULARY
from features.encoders.tokens import words_of
from models.drift.certainty import FALSE_ALARMS, count_p_value, least_of

METHOD = "jensenshannon"
LEAST_TEXTS = 5
"""Texts of both that a word is in, for it to be looked at: of fewer nothing is certain."""
_SHOWN = 4
RARE_SHARES = {"texts with a rare word": 0.0, "texts mostly of rare words": 0.5}
"""Kind of texts to the share of their words of which more is rare."""

Floats = NDArray[np.float64]
Texts = Sequence[str | None]


@dataclass(frozen=True)
class Moved:
    """Share of texts of a kind, before and now."""

    kind: str
    before: float
    now: float
    p_value: float
    """How seldom chance alone moves it as much."""


@dataclass(frozen=True)
class Vocabulary:
    """The words of two sets of texts, the most certain to have moved first."""

    words: tuple[str, ...]
    before: Floats
    """Share of the texts that each is in."""
    now: Floats
    p_values: Floats
    """How seldom chance alone moves any of all words as much."""
    together: tuple[tuple[float, float], ...] = ()
    """Share of texts, before and now, with any word that is certainly more common; and less common."""
    rare: tuple[Moved, ...] = ()
    """Texts with rare words, one for each of `RARE_SHARES`."""

    @property
    def p_value(self) -> float:
        """Of all words, and of texts with rare ones."""
        words = [float(self.p_values[0])] if self.words else []
        return least_of([*words, *(one.p_value for one in self.rare)] or [1.0])

    @property
    def distance(self) -> float:
        """How far words have moved that certainly have: the farthest by itself, or all of them together.

        Jensen and Shannon's between the shares of texts with and without them; of none the most certain word.
        Together, as texts of another matter have many words, each of them in few texts.
        """
        certain = max(1, int((self.p_values <= FALSE_ALARMS).sum()))
        rare = [(one.before, one.now) for one in self.rare if one.p_value <= FALSE_ALARMS]
        pairs = [*zip(self.before[:certain], self.now[:certain], strict=True), *self.together, *rare]
        if not pairs:
            return 0.0
        before, now = (np.array(one, dtype=np.float64) for one in zip(*pairs, strict=True))
        return float(_distance(before, now).max())

    def tell(self) -> str | None:
        """The words that have certainly moved, with their shares before and now; None where none has."""
        certain = np.flatnonzero(self.p_values <= FALSE_ALARMS)
        rise = self.now - self.before
        parts = [("more common now", certain[rise[certain] > 0]), ("less common", certain[rise[certain] < 0])]
        named = [f"{how}: {self._list(places)}" for how, places in parts if len(places)]
        told = []
        if named:
            told = [f"words {'; '.join(named)}".replace("%", "% of texts", 1).replace("%)", "% before)", 1)]
        told += [
            f"{one.kind}: {one.now:.0%} ({one.before:.0%} before)"
            for one in self.rare
            if one.p_value <= FALSE_ALARMS
        ]
        return "; ".join(told) or None

    def _list(self, places: NDArray[np.intp]) -> str:
        shown = [
            f"{json.dumps(self.words[place], ensure_ascii=False)} in {self.now[place]:.0%}"
            f" ({self.before[place]:.0%})"
            for place in places[:_SHOWN]
        ]
        return ", ".join(shown) + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


def is_vocabulary(name: str) -> bool:
    """Whether a column is a text, to be compared by its words."""
    return name.endswith(f":{VOCABULARY}")


def split_texts(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns that are texts, to be compared by their words, and the others."""
    names = [name for name in frame.columns if is_vocabulary(str(name))]
    return frame[names], frame.drop(columns=names)


def compare_words(before: Texts, now: Texts) -> Vocabulary:
    """Each word that is in some texts of both together.

    >>> compare_words(["soup"] * 100, ["soup, beans"] * 25 + ["soup"] * 25).tell()
    'words more common now: "," in 50% of texts (0% before), "beans" in 50% (0%)'
    """
    if not before or not now:
        return Vocabulary((), *(np.array([]),) * 3)
    sets = [[set(words_of(compose(text or ""))) for text in texts] for texts in (before, now)]
    counts = [Counter(word for words in texts for word in words) for texts in sets]
    both = counts[0] + counts[1]
    names = sorted(word for word, texts in both.items() if texts >= LEAST_TEXTS)
    rare = _compare_rare(sets, both)
    if not names:
        return Vocabulary((), *(np.array([]),) * 3, rare=rare)
    then, lately = (np.array([one[name] for name in names]) for one in counts)
    p_values = np.minimum(1.0, len(names) * count_p_value(then, lately, len(before), len(now)))
    shares = then / len(before), lately / len(now)
    order = np.lexsort((-np.abs(shares[1] - shares[0]), p_values))
    rise = np.where(p_values <= FALSE_ALARMS, shares[1] - shares[0], 0.0)
    ways = [{names[place] for place in np.flatnonzero(way > 0)} for way in (rise, -rise)]
    return Vocabulary(
        words=tuple(names[place] for place in order),
        before=shares[0][order],
        now=shares[1][order],
        p_values=p_values[order],
        together=tuple((_share_with(sets[0], ones), _share_with(sets[1], ones)) for ones in ways if ones),
        rare=rare,
    )


def _compare_rare(sets: Sequence[Sequence[set[str]]], both: Counter[str]) -> tuple[Moved, ...]:
    """Texts with words that are in next to no text of both."""
    rare = {word for word, texts in both.items() if texts < LEAST_TEXTS}
    parts = [np.array([len(text & rare) / max(1, len(text)) for text in texts]) for texts in sets]
    rows = [len(texts) for texts in sets]
    moved = []
    for kind, share in RARE_SHARES.items():
        before, now = (int((part > share).sum()) for part in parts)
        p_value = float(count_p_value(before, now, *rows))
        moved.append(Moved(kind, before / rows[0], now / rows[1], p_value))
    return tuple(moved)


def _share_with(texts: Sequence[set[str]], words: set[str]) -> float:
    """Share of texts with any of the words."""
    return sum(not words.isdisjoint(text) for text in texts) / len(texts)


def _distance(before: Floats, now: Floats) -> Floats:
    shares = [np.stack([one, 1 - one]) for one in (before, now)]
    middle = (shares[0] + shares[1]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(one > 0, one * np.log(one / middle), 0.0).sum(axis=0) for one in shares]
    return np.asarray(np.sqrt(np.maximum(0.0, (parts[0] + parts[1]) / 2)))
