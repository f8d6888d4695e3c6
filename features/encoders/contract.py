"""The contract of encoders, and the table that finds one by the kind of a use case.

An encoder turns checked columns into the numbers that a model sees. What it learns, it
learns from training rows only; it travels inside the model's artifact as plain JSON.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from configs.combinations import learns_from_terms
from configs.schema import FeaturesConfig, RecordConfig, UseCase
from configs.schema.features import STANDARD
from features.records.contract import Columns

if TYPE_CHECKING:
    import pandas as pd

ENCODERS = {
    "tabular": "features.encoders.tabular:TabularEncoder",
    "image": "features.encoders.image:ImageEncoder",
    "image_backbone": "features.encoders.backbone:BackboneEncoder",
    "text": "features.encoders.text:TextEncoder",
    "mixed": "features.encoders.mixed.buckets:MixedEncoder",
    "mixed_terms": "features.encoders.mixed.terms:MixedTermsEncoder",
}
"""Kind of a use case to the class that encodes it, imported when needed; `mixed_terms`: of kind `mixed`, for
estimators that learn from terms; `image_backbone`: of kind `image`, as vectors."""
ADOPTED = "encoder"
"""Key of what an encoder has learned that is of another package (`own`): its name."""


class Encoder(Protocol):
    """Turns checked columns into rows of numbers, for training and serving."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one encoded row."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each number of an encoded row, in order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What it decided of single training values that a person should know of, a sentence each."""
        ...

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """Least and greatest plausible value of fields that have bounds; dates in days since 1970."""
        ...

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn from training rows."""
        ...

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Numbers of n rows, shape (n, *input_shape); the columns are not changed."""
        ...

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Which of n training rows a model may learn from."""
        ...

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """Which of n training rows hold nothing that cannot be meant."""
        ...

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """Columns that describe n rows, each row by itself."""
        ...

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Columns that describe two sets of rows, for comparing them.

        Besides those of each row by itself there may be some that are made of both sets as one: where rows
        of either are the same, so are their descriptions, in whichever set they are.
        """
        ...

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        ...

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`: an encoder that gives the very same numbers."""
        ...


@runtime_checkable
class Doubting(Protocol):
    """An encoder that does not believe some numbers: of rows in batches, it is asked of each batch."""

    def beyond(self, columns: Columns) -> NDArray[np.bool_]:
        """Which numbers of n rows lie farther out than any can, shape (n, numbers)."""
        ...


def encoder_class(kind: str, *, terms: bool = False) -> type[Encoder]:
    """The class that encodes records of this kind; `terms`: of kind `mixed`, with texts as weighted terms."""
    module, _, name = ENCODERS["mixed_terms" if terms and kind == "mixed" else kind].partition(":")
    return cast("type[Encoder]", getattr(import_module(module), name))


def fit_encoder(use_case: UseCase, columns: Columns) -> Encoder:
    """An encoder of the use case's kind, for its estimator, that has learned from these training rows."""
    if use_case.features.encoder != STANDARD:
        fitted: Encoder = _adopted().fit_for(use_case, columns)
        return fitted
    chosen = encoder_class(kind_of_encoder(use_case))
    return chosen.fit(columns, use_case.record, use_case.features)


def kind_of_encoder(use_case: UseCase) -> str:
    """The name in `ENCODERS` by which a use case that has none of another package finds its own."""
    if use_case.features.image.backbone is not None:
        return "image_backbone"
    terms = use_case.kind == "mixed" and learns_from_terms(use_case.model.estimator)
    return "mixed_terms" if terms else use_case.kind


def encoder_of(kind: str, state: dict[str, Any]) -> type[Encoder]:
    """The class of a version's encoder, by what it had learned."""
    if ADOPTED in state:
        return cast("type[Encoder]", _adopted())
    return encoder_class("image_backbone" if "backbone" in state else kind, terms="terms" in state)


def _adopted() -> Any:
    """The class of encoders of other packages, which itself knows those of ours."""
    return import_module("features.encoders.adopted").AdoptedEncoder


def row_count(columns: Columns) -> int:
    """Number of rows that the columns hold."""
    return len(next(iter(columns.values())))
