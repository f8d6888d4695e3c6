"""An encoder of another package in the place of ours: its numbers, and beside it the encoder of the kind.

The latter goes on saying what drift checks compare, where fences stand, and which rows are left out of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig, UseCase
from features.encoders.contract import ADOPTED, Encoder, encoder_class, row_count
from features.encoders.own import OwnEncoder, Refusing, own_encoder_class
from features.errors import EncoderFailed, FeatureError, Problem
from features.other_packages import FOREIGN
from features.records.contract import Columns, RecordContract, take

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "encoder"
"""Folder of its files, in a version."""
MOST_WORDS = 50_000
"""Words of texts by which a drift check tells how familiar they are, where the options say none."""


class AdoptedEncoder:
    """Numbers by a class of another package; all else by the encoder of the kind."""

    def __init__(
        self, name: str, params: Mapping[str, Any], own: OwnEncoder, standard: Encoder, about: dict[str, Any]
    ) -> None:
        self.name = name
        self.params = dict(params)
        self._own = own
        self._standard = standard
        self._about = about
        """Kind and fields, by which the standard one is found and rows of none are made."""

    @classmethod
    def fit_for(cls, use_case: UseCase, columns: Columns) -> Self:
        """Both, having learned from training rows; its own without those that it refuses.

        Raises:
            EncoderUnavailable: its package is not here.
            EncoderFailed: it gave up.
        """
        features, record = use_case.features, use_case.record
        standard = encoder_class(use_case.kind).fit(columns, record, _standard_options(features))
        with _Naming(features.encoder, "be made"):
            own = own_encoder_class(features.encoder)(features.params)
        about = {"kind": use_case.kind, "record": record.model_dump(mode="json")}
        made = cls(features.encoder, features.params, own, standard, about)
        with _Naming(made.name, "learn from these rows"):
            own.fit(take(columns, made._answerable(columns)), record)
        return made

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Not to be done without the kind: `fit_for` is."""
        raise NotImplementedError

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """What it gives of no rows tells."""
        record = RecordConfig.model_validate(self._about["record"])
        return tuple(self._checked(RecordContract(record).empty(), 0).shape[1:])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Its own, or their numbers."""
        named = getattr(self._own, "feature_names", None)
        if named is not None:
            return tuple(named)
        return tuple(f"feature_{place}" for place in range(1, int(np.prod(self.input_shape)) + 1))

    @property
    def notes(self) -> tuple[str, ...]:
        """Its own: those of the standard one speak of numbers that nobody learns from."""
        return tuple(getattr(self._own, "notes", ()))

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """Those of the kind."""
        return self._standard.fences

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Its numbers, shape (n, *input_shape); 0 of rows that it refuses.

        Raises:
            EncoderFailed: it raised, or what it gave are no rows of finite numbers.
        """
        count = row_count(columns)
        answerable = self._answerable(columns)
        if answerable.all():
            return self._checked(columns, count, self.input_shape)
        encoded = np.zeros((count, *self.input_shape), dtype=np.float32)
        some = int(answerable.sum())
        encoded[answerable] = self._checked(take(columns, answerable), some, self.input_shape)
        return encoded

    @property
    def may_refuse(self) -> bool:
        """Whether it refuses some records."""
        return isinstance(self._own, Refusing)

    def problems(self, columns: Columns) -> tuple[Problem, ...]:
        """What it refuses, of n checked records."""
        if not isinstance(self._own, Refusing):
            return ()
        with _Naming(self.name, "look for problems in records"):
            return tuple(self._own.problems(columns))

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Those of the kind, without what it refuses."""
        chosen: NDArray[np.bool_] = self._standard.fit_rows(columns) & self._answerable(columns)
        return chosen

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Those of the kind."""
        return self._standard.believed_rows(columns)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """As of the kind."""
        return self._standard.summarise(columns)

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As of the kind."""
        return self._standard.summarise_both(before, now)

    def to_state(self) -> dict[str, Any]:
        """Who it is, and what the standard one has learned; what it has learned itself is in files."""
        return {
            ADOPTED: self.name,
            "params": self.params,
            **self._about,
            "standard": self._standard.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """It has files: `from_files`.

        Raises:
            EncoderFailed: always.
        """
        raise EncoderFailed(state[ADOPTED], "be loaded", FileNotFoundError("without its files"))

    def write_files(self, directory: Path) -> None:
        """What it has learned, in a folder of its own."""
        (directory / FOLDER).mkdir()
        with _Naming(self.name, "be saved"):
            self._own.save(directory / FOLDER)

    @classmethod
    def from_files(cls, state: dict[str, Any], directory: Path) -> Self:
        """The inverse of `to_state` and `write_files`.

        Raises:
            EncoderUnavailable: its package is not here.
            EncoderFailed: it could not be loaded.
        """
        name, params = state[ADOPTED], state["params"]
        found = own_encoder_class(name)
        with _Naming(name, "be loaded"):
            own = found.load(directory / FOLDER, params)
        standard: Encoder = encoder_class(state["kind"]).from_state(state["standard"])
        about = {key: state[key] for key in ("kind", "record")}
        return cls(name, params, own, standard, about)

    def _answerable(self, columns: Columns) -> NDArray[np.bool_]:
        answerable = np.ones(row_count(columns), dtype=np.bool_)
        answerable[[problem.row for problem in self.problems(columns)]] = False
        return answerable

    def _checked(
        self, columns: Columns, count: int, shape: tuple[int, ...] | None = None
    ) -> NDArray[np.float32]:
        """Its numbers, where they are what the contract says."""
        with _Naming(self.name, "encode records"):
            encoded: Any = self._own.encode(columns)
            if not isinstance(encoded, np.ndarray) or encoded.dtype != np.float32:
                raise TypeError(f"it gave {getattr(encoded, 'dtype', type(encoded).__name__)}, not float32")
            if len(encoded) != count or encoded.ndim < 2 or (shape and encoded.shape[1:] != shape):
                asked = f"({count}, {', '.join(map(str, shape or ('...',)))})"
                raise ValueError(f"it gave an array of {encoded.shape}; asked: {asked}")
            if not np.isfinite(encoded).all():
                row = int(np.flatnonzero(~np.isfinite(encoded.reshape(count, -1)).all(axis=1))[0])
                raise ValueError(f"what it gave of record {row} are no finite numbers")
        return cast("NDArray[np.float32]", encoded)


class _Naming:
    """Says of whatever it raises that it was this encoder."""

    def __init__(self, name: str, doing: str) -> None:
        self._name, self._doing = name, doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FOREIGN) and not isinstance(error, (FeatureError, OSError)):
            raise EncoderFailed(self._name, self._doing, error) from error


def _standard_options(features: FeaturesConfig) -> FeaturesConfig:
    """Options of the encoder of the kind that only describes: of texts, words are enough."""
    words = features.text.words or MOST_WORDS
    text = features.text.model_copy(update={"words": words, "pieces": 0, "meaning": None})
    tabular = features.tabular.model_copy(update={"encoding": "one_hot"})
    return features.model_copy(update={"text": text, "tabular": tabular})
