"""A classifier by keywords, which a chain may ask when no model answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from configs.spelling.letters import compose
from features.encoders.tokens import words_of
from features.records.contract import Columns


class KeywordClassifier:
    """Answers with the label whose keywords occur most in the texts of a record.

    A keyword is a word or a phrase; a phrase of n words counts n times, as it is the stronger evidence.
    The score is the label's share of all counts, 0 to 1; of equal shares the first label in the alphabet
    wins. Where no keyword occurs there is no label.
    """

    def __init__(self, keywords: Mapping[str, Sequence[str]]) -> None:
        self._labels = tuple(sorted(keywords))
        self._phrases: dict[tuple[str, ...], list[int]] = {}
        for place, label in enumerate(self._labels):
            for keyword in dict.fromkeys(tuple(words_of(compose(keyword))) for keyword in keywords[label]):
                if keyword:
                    self._phrases.setdefault(keyword, []).append(place)
        self._longest = max(map(len, self._phrases), default=0)

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        """Label (None: no keyword found) and score of each record."""
        texts = [column.tolist() for column in columns.values() if column.dtype == object]
        answers = [self._find("\n".join(text for text in row if text)) for row in zip(*texts, strict=True)]
        return [label for label, _ in answers], [score for _, score in answers]

    def _find(self, text: str) -> tuple[str | None, float]:
        words = words_of(compose(text))
        votes = np.zeros(len(self._labels))
        for length in range(1, self._longest + 1):
            for start in range(len(words) - length + 1):
                for place in self._phrases.get(tuple(words[start : start + length]), ()):
                    votes[place] += length
        if not votes.any():
            return None, 0.0
        best = int(votes.argmax())
        return self._labels[best], float(votes[best] / votes.sum())
