"""Texts as shares of pairs of letters, which tell languages apart: numbers, for any estimator of tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from configs.schema import RecordConfig  # Ratchet's
from features.errors import Problem

FILE = "pairs.json"
DEFAULTS = {"pairs": 300, "case": False}


class LetterPairs:
    """How often each of the most frequent pairs of letters stands in the texts of a record."""

    kinds: ClassVar[tuple[str, ...]] = ("text",)
    rows: ClassVar[str] = "numbers"

    def __init__(self, params: Mapping[str, Any]) -> None:
        if unknown := sorted(set(params) - set(DEFAULTS)):
            raise ValueError(f"{unknown[0]}: no such parameter; allowed: {', '.join(DEFAULTS)}")
        chosen = {**DEFAULTS, **params}
        if type(chosen["pairs"]) is not int or chosen["pairs"] < 1:
            raise ValueError(f"pairs: got {chosen['pairs']!r}; allowed: whole numbers above 0")
        self.most: int = chosen["pairs"]
        self.case = bool(chosen["case"])
        self.fields: list[str] = []
        self.places: dict[str, int] = {}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The pairs themselves."""
        return tuple(f"pair:{pair}" for pair in self.places)

    def refusal(self, record: RecordConfig) -> str | None:
        """Why it cannot encode such records, if so."""
        others = [field.name for field in record.fields if field.type != "text"]
        return f"field '{others[0]}' is no text" if others else None

    def problems(self, columns: Mapping[str, Any]) -> Sequence[Problem]:
        """Records without a letter, of which nothing could be said. Without this method all are taken."""
        found = []
        for row, texts in enumerate(zip(*columns.values(), strict=True)):
            if not any(letter.isalpha() for text in texts for letter in text or ""):
                field = list(columns)[-1]
                found.append(
                    Problem(row, field, f"field '{field}': got no letter; allowed: a text with some")
                )
        return found

    def fit(self, columns: Mapping[str, Any], record: RecordConfig) -> None:
        """Learn which pairs there are; in the order of the alphabet, so that the same rows give the same."""
        self.fields = [field.name for field in record.fields]
        counts: Counter[str] = Counter()
        for text in self._texts(columns):
            counts.update(self._pairs(text))
        chosen = sorted(counts, key=lambda pair: (-counts[pair], pair))[: self.most]
        self.places = {pair: place for place, pair in enumerate(sorted(chosen))}

    def encode(self, columns: Mapping[str, Any]) -> Any:
        """Shares of the known pairs, shape (n, pairs); each record by itself, and unknown pairs count too."""
        texts = self._texts(columns)
        rows = np.zeros((len(texts), len(self.places)), dtype=np.float32)
        for row, text in enumerate(texts):
            pairs = self._pairs(text)
            for pair, count in pairs.items():
                if (place := self.places.get(pair)) is not None:
                    rows[row, place] = count / pairs.total()
        return rows

    def save(self, directory: Path) -> None:
        """Write what it has learned as JSON: servers load no pickle."""
        learned = {"fields": self.fields, "pairs": list(self.places)}
        (directory / FILE).write_text(json.dumps(learned, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The encoder that `save` wrote."""
        loaded = cls(params)
        learned = json.loads((directory / FILE).read_text(encoding="utf-8"))
        loaded.fields = learned["fields"]
        loaded.places = {pair: place for place, pair in enumerate(learned["pairs"])}
        return loaded

    def _texts(self, columns: Mapping[str, Any]) -> list[str]:
        """The texts of each record, one after the other; a missing one is none."""
        columns_of = [columns[name].tolist() for name in self.fields]
        return [" ".join(text for text in row if text) for row in zip(*columns_of, strict=True)]

    def _pairs(self, text: str) -> Counter[str]:
        read = text if self.case else text.lower()
        return Counter(one + other for one, other in pairwise(read) if one.isalpha() and other.isalpha())
