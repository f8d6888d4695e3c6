"""Which words are in more, or in fewer, texts than before: how far, how certain, and in a sentence.

A text has no number, but each word is in it or not. Looked at is every word, by exact counts of the texts
that it is in, for as many words as there are. So texts of another matter are found whose lengths are as
before, and whose words are all familiar.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.encoders.date_and_text_features import VOCABULARY
from features.encoders.tokens import words_of
from models.drift.certainty import FALSE_ALARMS, count_p_value

METHOD = "jensenshannon"
LEAST_TEXTS = 5
"""Texts of both that a word is in, for it to be looked at: of fewer nothing is certain."""
_SHOWN = 4

Floats = NDArray[np.float64]
Texts = Sequence[str | None]


@dataclass(frozen=True)
class Vocabulary:
    """The words of two sets of texts, the most certain to have moved first."""

    words: tuple[str, ...]
    before: Floats
    """Share of the texts that each is in."""
    now: Floats
    p_values: Floats
    """How seldom chance alone moves any of all words as much."""

    @property
    def p_value(self) -> float:
        """Of all words."""
        return float(self.p_values[0]) if self.words else 1.0

    @property
    def distance(self) -> float:
        """How far the word has moved that has moved the farthest, of those that certainly have.

        Jensen and Shannon's between the shares of texts with and without it; of none the most certain.
        """
        certain = max(1, int((self.p_values <= FALSE_ALARMS).sum()))
        return float(np.max(_distance(self.before[:certain], self.now[:certain]), initial=0.0))

    def tell(self) -> str | None:
        """The words that have certainly moved, with their shares before and now; None where none has."""
        certain = np.flatnonzero(self.p_values <= FALSE_ALARMS)
        rise = self.now - self.before
        parts = [("more common now", certain[rise[certain] > 0]), ("less common", certain[rise[certain] < 0])]
        named = [f"{how}: {self._list(places)}" for how, places in parts if len(places)]
        if not named:
            return None
        return f"words {'; '.join(named)}".replace("%", "% of texts", 1).replace("%)", "% before)", 1)

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
    counts = [
        Counter(word for text in texts for word in set(words_of(text or ""))) for texts in (before, now)
    ]
    names = sorted(word for word, texts in (counts[0] + counts[1]).items() if texts >= LEAST_TEXTS)
    if not names or not before or not now:
        return Vocabulary((), *(np.array([]),) * 3)
    then, lately = (np.array([one[name] for name in names]) for one in counts)
    p_values = np.minimum(1.0, len(names) * count_p_value(then, lately, len(before), len(now)))
    shares = then / len(before), lately / len(now)
    order = np.lexsort((-np.abs(shares[1] - shares[0]), p_values))
    return Vocabulary(tuple(names[place] for place in order), *(one[order] for one in (*shares, p_values)))


def _distance(before: Floats, now: Floats) -> Floats:
    shares = [np.stack([one, 1 - one]) for one in (before, now)]
    middle = (shares[0] + shares[1]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(one > 0, one * np.log(one / middle), 0.0).sum(axis=0) for one in shares]
    return np.asarray(np.sqrt(np.maximum(0.0, (parts[0] + parts[1]) / 2)))
