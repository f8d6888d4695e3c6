"""The numbers of a record beside its texts: tabular ones, ages and gaps of dates, how many addresses.

Numbers, categories and dates are encoded as for tables. Besides, each date gets its age before the newest
plausible one in the training rows, and each pair of dates the gap between them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.column_statistics import plausible_bounds
from features.encoders.contract import row_count
from features.encoders.date_and_text_features import drop_sentinel_dates, with_vocabulary
from features.encoders.mixed.addresses import find_addresses
from features.encoders.tabular import TabularEncoder
from features.records.contract import Columns

if TYPE_CHECKING:
    import pandas as pd

DAY = np.timedelta64(1, "D")
EPOCH = np.datetime64(0, "us")
YEAR = 365.25

Addresses = list[tuple[list[str], list[str]]]
"""Web addresses, and domains of e-mail addresses, of each row; both empty where the text is missing."""


class MixedNumbers:
    """The numbers themselves; the state is the encoder's."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.tabular = TabularEncoder(state["tabular"])
        self.texts: tuple[str, ...] = tuple(state["texts"])
        self._dates: tuple[str, ...] = tuple(state["dates"])
        self._newest = np.datetime64(state["newest"], "us")
        self._pairs = tuple(combinations(self._dates, 2))
        self._start = self.tabular.input_shape[0]
        self.width = self._start + len(self._dates) + len(self._pairs) + 2 * len(self.texts)
        """Numbers of one row."""

    @staticmethod
    def learn(columns: Columns, record: RecordConfig, options: FeaturesConfig) -> dict[str, Any]:
        """What tables learn, and the newest date, as JSON values."""
        treated = drop_sentinel_dates(columns)
        newest = _newest([treated[name] for name in dates_of(record)])
        return MixedNumbers.state_of(TabularEncoder.fit(columns, record, options), record, newest)

    @staticmethod
    def state_of(tabular: TabularEncoder, record: RecordConfig, newest: Any) -> dict[str, Any]:
        """What was learned, as JSON values: what tables learn, and the newest date."""
        return {
            "tabular": tabular.to_state(),
            "texts": [field.name for field in record.fields if field.type == "text"],
            "dates": dates_of(record),
            "newest": str(newest),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """As for tables, then `<date>:age`, `<date>:<date>:gap`, `<text>:webs` and `<text>:mails`."""
        return (
            *self.tabular.feature_names,
            *(f"{name}:age" for name in self._dates),
            *(f"{first}:{second}:gap" for first, second in self._pairs),
            *(f"{name}:{part}" for name in self.texts for part in ("webs", "mails")),
        )

    def encode_into(self, encoded: NDArray[np.float32], columns: Columns) -> list[Addresses]:
        """Write the numbers of n rows into (n, width); gives the addresses of each text field."""
        columns = self.tabular.treat_dates(columns)
        encoded[:, : self._start] = self.tabular.encode_treated(columns)
        place = self._start
        for name in self._dates:
            encoded[:, place] = _signed_years(np.asarray(self._newest - columns[name]))
            place += 1
        for first, second in self._pairs:
            encoded[:, place] = _signed_years(columns[second] - columns[first])
            place += 1
        found: list[Addresses] = []
        for name in self.texts:
            addresses: Addresses = [
                ([], []) if text is None else find_addresses(text) for text in columns[name].tolist()
            ]
            counts = np.array([(len(webs), len(mails)) for webs, mails in addresses]).reshape(-1, 2)
            encoded[:, place : place + 2] = np.log1p(counts)
            place += 2
            found.append(addresses)
        return found

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """As for tables, with the gaps between dates in years."""
        table = self.tabular.summarise(columns)
        columns = self.tabular.treat_dates(columns)
        for first, second in self._pairs:
            table[f"{first}:{second}:gap"] = _years(columns[second] - columns[first])
        return table

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the texts themselves, for their words to be compared."""
        one, other = (with_vocabulary(self.summarise(rows), rows, self.texts) for rows in (before, now))
        return one, other


class BesideNumbers(ABC):
    """An encoder of mixed records: the numbers, and the texts in a form that a subclass says.

    What it tells of columns, and which rows may be learned from, does not hang on the form of the texts.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._numbers = MixedNumbers(state)

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one encoded row."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """A name for each number of a row, those of the numbers first."""

    @classmethod
    @abstractmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn what tables learn, the newest date, and what the form of the texts needs."""

    @abstractmethod
    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Numbers of n rows, shape (n, *input_shape)."""

    @property
    def notes(self) -> tuple[str, ...]:
        """As for tables."""
        return self._numbers.tabular.notes

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """As for tables."""
        return self._numbers.tabular.fences

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """As for tables."""
        return self._numbers.tabular.fit_rows(columns)

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """As for tables."""
        return self._numbers.tabular.believed_rows(columns)

    def beyond(self, columns: Columns) -> NDArray[np.bool_]:
        """As for tables."""
        return self._numbers.tabular.beyond(columns)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """As for tables, with the gaps between dates in years."""
        return self._numbers.summarise(columns)

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the texts themselves, for their words to be compared."""
        return self._numbers.summarise_both(before, now)

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        return self._state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`."""
        return cls(state)


def dates_of(record: RecordConfig) -> list[str]:
    """Names of the fields that are dates."""
    return [field.name for field in record.fields if field.type == "datetime"]


def days_of(dates: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Days since 1970 of all dates, one column after the other."""
    together = np.concatenate([*dates, np.array([], dtype="datetime64[us]")])
    return np.asarray((together - EPOCH) / DAY)


def empty_rows(columns: Columns, *shape: int) -> NDArray[np.float32]:
    """Zeros for the rows of these columns, each of a shape."""
    return np.zeros((row_count(columns), *shape), dtype=np.float32)


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
