"""Encoders that learn from batches, by their classes: one function for each kind that is ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from configs.schema import FeaturesConfig, RecordConfig, UseCase
from configs.schema.features import STANDARD
from features.encoders.contract import Encoder, kind_of_encoder
from features.records.rows import RowSource

Learn = Callable[[RowSource, RecordConfig, FeaturesConfig], Encoder]
LEARNERS: Mapping[str, str] = {
    "tabular": "features.encoders.batched.tabular:learn_tabular",
    "image": "features.encoders.batched.pictures:learn_pixels",
    "image_backbone": "features.encoders.batched.pictures:learn_backbone",
    "text": "features.encoders.batched.text:learn_text",
    "mixed": "features.encoders.batched.mixed:learn_mixed",
    "mixed_terms": "features.encoders.batched.mixed:learn_mixed_terms",
}
"""Name in `features.encoders.contract.ENCODERS` to what learns it, imported when needed."""


def learns_in_batches(use_case: UseCase) -> bool:
    """Whether its encoder does: one of another package learns from all rows at once."""
    return use_case.features.encoder == STANDARD


def learn_encoder(use_case: UseCase, rows: RowSource) -> Encoder:
    """An encoder of the use case's kind, for its estimator, that has learned from these training rows."""
    module, _, name = LEARNERS[kind_of_encoder(use_case)].partition(":")
    learn: Learn = getattr(import_module(module), name)
    return learn(rows, use_case.record, use_case.features)
