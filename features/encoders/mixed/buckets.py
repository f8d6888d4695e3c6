"""Records of texts, addresses, dates, numbers and categories as one row of numbers, texts in buckets by hash.

Each text is counted in buckets by hash (Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning", 2009): its words, parts of words, and the parts of the web and e-mail addresses in it. A first
layer of a network over such counts is an embedding of each bucket, summed. A missing text fills one bucket
of its own, so missing is something that can be learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from configs.spelling.letters import compose
from features.encoders.mixed.addresses import address_parts
from features.encoders.mixed.numbers import BesideNumbers, MixedNumbers, empty_rows
from features.encoders.tokens import pieces_of, words_of
from features.records.contract import Columns

PIECES = (3, 4)
CACHED_WORDS = 50_000
MOST_WORDS = 20_000
"""Words of one text that count, to bound the time that one takes."""

Floats = NDArray[np.float32]


class MixedEncoder(BesideNumbers):
    """Tabular numbers, ages and gaps of dates, how many addresses each text holds, then the buckets."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        self._buckets: int = state["buckets"]
        # Versions of earlier releases have learned from letters as they came.
        self._composes: bool = state.get("composes", False)
        self._starts = {name: crc32(f"{name}\x1f".encode()) for name in self._numbers.texts}
        self._cache: dict[tuple[str, str], tuple[int, ...]] = {}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number per feature."""
        return (self._numbers.width + self._buckets,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """As for tables, then `<date>:age`, `<date>:<date>:gap`, `<text>:webs` and `:mails`, `bucket:<n>`."""
        return (*self._numbers.names, *(f"bucket:{number}" for number in range(self._buckets)))

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn what tables learn, and the newest date."""
        return cls(cls.state_of(MixedNumbers.learn(columns, record, options), options))

    @staticmethod
    def state_of(numbers: dict[str, Any], options: FeaturesConfig) -> dict[str, Any]:
        """What it has learned, given what it has of all but texts."""
        return {**numbers, "buckets": options.mixed.buckets, "composes": True}

    def encode(self, columns: Columns) -> Floats:
        """Numbers of n rows, shape (n, features)."""
        encoded = empty_rows(columns, *self.input_shape)
        width = self._numbers.width
        found = self._numbers.encode_into(encoded[:, :width], columns)
        for name, addresses in zip(self._numbers.texts, found, strict=True):
            for row, (text, (webs, mails)) in enumerate(zip(columns[name].tolist(), addresses, strict=True)):
                self._count(encoded[row, width:], name, text, webs, mails)
        return encoded

    def _count(
        self, row: Floats, field: str, text: str | None, webs: Sequence[str], mails: Sequence[str]
    ) -> None:
        """Add the terms of one text to the buckets of a row, scaled to length 1."""
        if text is None:
            row[self._bucket(field, "missing")] += 1
            return
        buckets = [self._bucket(field, part) for part in address_parts(webs, mails)]
        words = words_of(compose(text) if self._composes else text)[:MOST_WORDS]
        cached = self._cache.get
        for word in words:
            buckets += cached((field, word)) or self._buckets_of(field, word)
        # A hash goes on from that of the field's name, which is the same as one of both together.
        start, size = self._starts[field], self._buckets
        buckets += [crc32(f"{one} {other}".encode(), start) % size for one, other in pairwise(words)]
        if buckets:
            counts = np.log1p(np.bincount(buckets, minlength=self._buckets)).astype(np.float32)
            # Somewhat more than length 1, for what is counted to weigh as much as the numbers beside it.
            row += 4 * counts / np.sqrt(np.dot(counts, counts))

    def _buckets_of(self, field: str, word: str) -> tuple[int, ...]:
        pieces = (self._bucket(field, f"part:{piece}") for piece in pieces_of(word, PIECES))
        buckets = (self._bucket(field, word), *pieces)
        if len(self._cache) >= CACHED_WORDS:
            self._cache.clear()
        self._cache[field, word] = buckets
        return buckets

    def _bucket(self, field: str, term: str) -> int:
        return crc32(term.encode(), self._starts[field]) % self._buckets
