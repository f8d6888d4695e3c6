"""What the laws of encoders are held to: a class with parameters, and checked records with some fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import FieldConfig, RecordConfig
from features.encoders.contract import row_count
from features.encoders.own import OwnEncoder, Refusing, kinds_of, own_encoder_class, rows_of
from features.records.contract import Columns, RecordContract, take

TRAINING, HELD_OUT = 200, 60
WORDS = (
    "late",
    "order",
    "refund",
    "blue",
    "chair",
    "broken",
    "thanks",
    "price",
    "naïve",
    "größer",
    "42",
    "x9",
)
UNSEEN = "Zwölf Boxkämpfer — 東京 😀 \t?"
"""Letters and signs that no other text here has."""
MISSING = 0.1
"""Share of values that are missing, of fields that may be."""
RECORDS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "tabular": (
        {"name": "amount", "type": "number", "nullable": True},
        {"name": "count", "type": "integer", "minimum": 0, "maximum": 50},
        {"name": "paid", "type": "boolean", "nullable": True},
        {"name": "colour", "type": "category", "categories": ["red", "green", "blue"], "nullable": True},
        {"name": "town", "type": "category", "nullable": True},
        {"name": "since", "type": "datetime", "nullable": True},
    ),
    "text": (
        {"name": "title", "type": "text", "nullable": True},
        {"name": "body", "type": "text"},
    ),
    "image": ({"name": "picture", "type": "image", "shape": [8, 8]},),
}
"""Kind to the fields of records that are made where no use case is named."""


def record_of(kind: str) -> RecordConfig:
    """Fields of each type that the kind has."""
    fields = (*RECORDS["tabular"], *RECORDS["text"]) if kind == "mixed" else RECORDS[kind]
    return RecordConfig.model_validate({"fields": fields})


@dataclass(frozen=True)
class EncoderSubject:
    """A class, asked by its name."""

    name: str
    """As in `features.encoder`."""
    kind: str
    record: RecordConfig
    params: Mapping[str, Any]
    folder: Path
    """An empty one of its own."""

    @cached_property
    def encoder_class(self) -> type[OwnEncoder]:
        """The class itself."""
        return own_encoder_class(self.name)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that it says it encodes."""
        return kinds_of(self.encoder_class)

    @property
    def rows(self) -> str:
        """What it says that it makes of records."""
        return rows_of(self.encoder_class)

    @cached_property
    def training(self) -> Columns:
        """Records to learn from, none of which it refuses."""
        return without_refused(self.make(), make_columns(self.record, TRAINING, seed=1))

    @cached_property
    def held_out(self) -> Columns:
        """Other records, none of which it refuses."""
        return without_refused(self.fitted, make_columns(self.record, HELD_OUT, seed=2))

    @cached_property
    def odd(self) -> Columns:
        """Records that no training row is like, though their fields allow them."""
        return RecordContract(self.record).check_records(odd_records(self.record)).all_or_raise()

    @cached_property
    def fitted(self) -> OwnEncoder:
        """One that has learned the training records; no law may change it."""
        return self.fit()

    @cached_property
    def encoded(self) -> NDArray[np.float32]:
        """What that one makes of the held-out records."""
        return self.fitted.encode(self.held_out)

    def make(self) -> OwnEncoder:
        """One that has not learned."""
        return self.encoder_class(self.params)

    def fit(self, columns: Columns | None = None) -> OwnEncoder:
        """One that has learned records: those of training."""
        encoder = self.make()
        encoder.fit(self.training if columns is None else columns, self.record)
        return encoder

    def subfolder(self, name: str) -> Path:
        """A new folder."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.folder))


def without_refused(encoder: OwnEncoder, columns: Columns) -> Columns:
    """Records that an encoder does not refuse.

    Raises:
        ValueError: it refuses all of them.
    """
    if not isinstance(encoder, Refusing):
        return columns
    fine = np.ones(row_count(columns), dtype=np.bool_)
    problems = encoder.problems(columns)
    fine[[one.row for one in problems]] = False
    if not fine.any():
        told = problems[0].message
        raise ValueError(f"it refuses every record made for it ({told}); --use-case names other fields")
    return take(columns, fine)


def make_columns(record: RecordConfig, count: int, *, seed: int) -> Columns:
    """Checked records with values of each field's type, some of them missing where they may be."""
    random = np.random.default_rng(seed)
    rows = [{field.name: _value(field, random) for field in record.fields} for _ in range(count)]
    return RecordContract(record).check_records(rows).all_or_raise()


def odd_records(record: RecordConfig) -> list[dict[str, Any]]:
    """All missing that may be; values at the ends of what is allowed; texts of nothing, and of the new."""
    return [{field.name: _odd(field, which) for field in record.fields} for which in range(4)]


def _value(field: FieldConfig, random: np.random.Generator) -> Any:
    if field.nullable and random.random() < MISSING:
        return None
    if field.type in ("number", "integer"):
        low, high = _bounds(field, 0.0, 100.0)
        number = float(random.uniform(low, high))
        return number if field.type == "number" else int(np.clip(round(number), np.ceil(low), np.floor(high)))
    if field.type == "boolean":
        return bool(random.random() < 0.5)
    if field.type == "category":
        return str(random.choice(field.categories or WORDS))[: field.max_length]
    if field.type == "text":
        return " ".join(random.choice(WORDS, size=int(random.integers(1, 30))).tolist())[: field.max_length]
    if field.type == "datetime":
        return f"20{int(random.integers(10, 25))}-0{int(random.integers(1, 10))}-17T09:30:00Z"
    assert field.shape is not None
    low, high = field.range
    return np.round(random.uniform(low, high, size=field.shape)).tolist()


def _odd(field: FieldConfig, which: int) -> Any:
    """The value of one of four odd records."""
    if which == 0 and field.nullable:
        return None
    if field.type in ("number", "integer"):
        low, high = _bounds(field, -1e12, 1e12)
        ends = (low, high) if field.type == "number" else (int(np.ceil(low)), int(np.floor(high)))
        return ends[which % 2]
    if field.type == "boolean":
        return which % 2 == 0
    if field.type == "category":
        return field.categories[-1] if field.categories else f"never seen {which}"[: field.max_length]
    if field.type == "text":
        texts = ("?", UNSEEN, f"{WORDS[0]} " * 5000, "a")
        return texts[which][: field.max_length].strip()
    if field.type == "datetime":
        return ("1901-01-01T00:00:00Z", "2199-12-31T23:59:59Z")[which % 2]
    assert field.shape is not None
    return np.full(field.shape, field.range[which % 2]).tolist()


def _bounds(field: FieldConfig, low: float, high: float) -> tuple[float, float]:
    """What is allowed, and where nothing is said as far as this."""
    least = min(low, field.maximum) if field.maximum is not None else low
    most = max(high, field.minimum) if field.minimum is not None else high
    return (
        least if field.minimum is None else field.minimum,
        most if field.maximum is None else field.maximum,
    )
