"""Records of texts, addresses, dates, numbers and categories as one row of numbers.

Numbers, categories and dates are encoded as for tables. Besides, each date gets its age before the
newest plausible one in the training rows, each pair of dates the gap between them, and each text is counted
in buckets by hash (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009):
its words, parts of words, and the parts of the web and e-mail addresses in it. A first layer of a
network over such counts is an embedding of each bucket, summed. A missing text fills one bucket of
its own, so missing is something that can be learned from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.column_statistics import plausible_bounds
from features.encoders.contract import row_count
from features.encoders.date_and_text_features import drop_sentinel_dates, with_vocabulary
from features.encoders.tabular import TabularEncoder
from features.encoders.tokens import pieces_of, words_of
from features.records.contract import Columns

if TYPE_CHECKING:
    import pandas as pd

DAY = np.timedelta64(1, "D")
EPOCH = np.datetime64(0, "us")
YEAR = 365.25
PIECES = (3, 4)
CACHED_WORDS = 50_000
MOST_WORDS = 20_000
"""Words of one text that count, to bound the time that one takes."""
_WEB = re.compile(r"(?:https?://)?(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}\b(?:[/?#][^\s<>\"']*)?", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")

Floats = NDArray[np.float32]


class MixedEncoder:
    """Tabular numbers, ages and gaps of dates, how many addresses each text holds, then the buckets."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._tabular = TabularEncoder(state["tabular"])
        self._texts: tuple[str, ...] = tuple(state["texts"])
        self._dates: tuple[str, ...] = tuple(state["dates"])
        self._newest = np.datetime64(state["newest"], "us")
        self._buckets: int = state["buckets"]
        self._pairs = tuple(combinations(self._dates, 2))
        self._start = self._tabular.input_shape[0]
        self._dense = self._start + len(self._dates) + len(self._pairs) + 2 * len(self._texts)
        self._cache: dict[tuple[str, str], tuple[int, ...]] = {}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number per feature."""
        return (self._dense + self._buckets,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """As for tables, then `<date>:age`, `<date>:<date>:gap`, `<text>:webs` and `:mails`, `bucket:<n>`."""
        return (
            *self._tabular.feature_names,
            *(f"{name}:age" for name in self._dates),
            *(f"{first}:{second}:gap" for first, second in self._pairs),
            *(f"{name}:{part}" for name in self._texts for part in ("webs", "mails")),
            *(f"bucket:{number}" for number in range(self._buckets)),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """As for tables."""
        return self._tabular.notes

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """As for tables."""
        return self._tabular.fences

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn what tables learn, and the newest date."""
        dates = [field.name for field in record.fields if field.type == "datetime"]
        treated = drop_sentinel_dates(columns)
        newest = _newest([treated[name] for name in dates])
        return cls(
            {
                "tabular": TabularEncoder.fit(columns, record, options).to_state(),
                "texts": [field.name for field in record.fields if field.type == "text"],
                "dates": dates,
                "newest": str(newest),
                "buckets": options.mixed.buckets,
            }
        )

    def encode(self, columns: Columns) -> Floats:
        """Numbers of n rows, shape (n, features)."""
        rows = row_count(columns)
        encoded = np.zeros((rows, self._dense + self._buckets), dtype=np.float32)
        columns = self._tabular.treat_dates(columns)
        encoded[:, : self._start] = self._tabular.encode_treated(columns)
        place = self._start
        for name in self._dates:
            encoded[:, place] = _signed_years(np.asarray(self._newest - columns[name]))
            place += 1
        for first, second in self._pairs:
            encoded[:, place] = _signed_years(columns[second] - columns[first])
            place += 1
        for name in self._texts:
            for row, text in enumerate(columns[name].tolist()):
                self._count(encoded[row], place, name, text)
            place += 2
        return encoded

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """As for tables."""
        return self._tabular.fit_rows(columns)

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """As for tables."""
        return self._tabular.believed_rows(columns)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """As for tables, with the gaps between dates in years."""
        table = self._tabular.summarise(columns)
        columns = self._tabular.treat_dates(columns)
        for first, second in self._pairs:
            table[f"{first}:{second}:gap"] = _years(columns[second] - columns[first])
        return table

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the texts themselves, for their words to be compared."""
        one, other = (with_vocabulary(self.summarise(rows), rows, self._texts) for rows in (before, now))
        return one, other

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        return self._state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`."""
        return cls(state)

    def _count(self, row: Floats, place: int, field: str, text: str | None) -> None:
        """Add one text to a row: its addresses at `place`, its terms in the buckets, scaled to length 1."""
        if text is None:
            row[self._dense + self._bucket(field, "missing")] += 1
            return
        webs, mails = _WEB.findall(_MAIL.sub(" ", text)), _MAIL.findall(text)
        row[place], row[place + 1] = np.log1p(len(webs)), np.log1p(len(mails))
        buckets = [self._bucket(field, part) for part in _address_parts(webs, mails)]
        words = words_of(text)[:MOST_WORDS]
        for word in words:
            buckets += self._cache.get((field, word)) or self._buckets_of(field, word)
        buckets += [self._bucket(field, " ".join(pair)) for pair in pairwise(words)]
        if buckets:
            counts = np.log1p(np.bincount(buckets, minlength=self._buckets)).astype(np.float32)
            # Somewhat more than length 1, for what is counted to weigh as much as the numbers beside it.
            row[self._dense :] += 4 * counts / np.sqrt(np.dot(counts, counts))

    def _buckets_of(self, field: str, word: str) -> tuple[int, ...]:
        pieces = (self._bucket(field, f"part:{piece}") for piece in pieces_of(word, PIECES))
        buckets = (self._bucket(field, word), *pieces)
        if len(self._cache) >= CACHED_WORDS:
            self._cache.clear()
        self._cache[field, word] = buckets
        return buckets

    def _bucket(self, field: str, term: str) -> int:
        return crc32(f"{field}\x1f{term}".encode()) % self._buckets


def _address_parts(webs: Sequence[str], mails: Sequence[str]) -> Iterator[str]:
    """Host, top domain and depth of web addresses; domain of e-mail addresses."""
    for web in webs:
        host, _, path = re.sub(r"^https?://", "", web.lower()).removeprefix("www.").partition("/")
        yield f"host:{host}"
        yield f"top:{host.rpartition('.')[2]}"
        yield f"depth:{path.count('/') if path else -1}"
    for domain in mails:
        yield f"mail:{domain.lower()}"
        yield f"top:{domain.lower().rpartition('.')[2]}"


def _newest(dates: Sequence[NDArray[Any]]) -> Any:
    """The newest of those that are plausible: ages before another would all be much the same."""
    together = np.concatenate([*dates, np.array([], dtype="datetime64[us]")])
    days = (together - EPOCH) / DAY
    believed = together[days <= plausible_bounds(days)[1]]
    return believed.max() if len(believed) else EPOCH


def _years(spans: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(spans / DAY / YEAR, dtype=np.float64)


def _signed_years(spans: NDArray[Any]) -> NDArray[np.float64]:
    """Years on a logarithmic scale that keeps days apart; 0 where a date is missing."""
    years = _years(spans)
    return np.asarray(np.nan_to_num(np.sign(years) * np.log1p(100 * np.abs(years)) / 4), dtype=np.float64)
