"""Each law of encoders is broken by a class made to break it, and kept by one that is not."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from configs.schema import RecordConfig
from features.encoders.contract import row_count
from features.errors import EncoderFailed, EncoderUnavailable, Problem
from features.records.contract import Columns
from models.laws.encoder_laws import ENCODER_LAWS
from models.laws.report import Finding, hold_encoder_to_laws


class Lengths:
    """The length of each text beside the mean of training: keeps every law."""

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, params: Mapping[str, Any]) -> None:
        if params:
            raise ValueError(f"unknown parameters: {', '.join(params)}")
        self.means: dict[str, float] = {}

    def fit(self, columns: Columns, record: RecordConfig) -> None:
        self.means = {
            field.name: float(np.mean([len(text or "") for text in columns[field.name]]))
            for field in record.fields
        }

    def encode(self, columns: Columns) -> Any:
        lengths = [[len(text or "") / mean for text in columns[name]] for name, mean in self.means.items()]
        return np.array(lengths, dtype=np.float32).reshape(len(self.means), -1).T

    def save(self, directory: Path) -> None:
        (directory / "means.txt").write_text(
            "\n".join(f"{name} {mean!r}" for name, mean in self.means.items()), encoding="utf-8"
        )

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = cls(params)
        lines = (directory / "means.txt").read_text(encoding="utf-8").splitlines()
        loaded.means = {name: float(mean) for name, mean in (line.split() for line in lines)}
        return loaded


class Boastful(Lengths):
    kinds: ClassVar[tuple[str, ...]] = ("text", "sounds")


class Tolerant(Lengths):
    def __init__(self, params: Mapping[str, Any]) -> None:  # noqa: ARG002
        super().__init__({})


class Double(Lengths):
    def encode(self, columns: Columns) -> Any:
        return super().encode(columns).astype(np.float64)


class Blind(Lengths):
    def encode(self, columns: Columns) -> Any:
        return np.zeros_like(super().encode(columns))


class Empty(Lengths):
    def encode(self, columns: Columns) -> Any:
        assert row_count(columns)
        return super().encode(columns)


class Unseeded(Lengths):
    def fit(self, columns: Columns, record: RecordConfig) -> None:
        super().fit(columns, record)
        self.means = {name: mean + np.random.default_rng().random() for name, mean in self.means.items()}


class Learning(Lengths):
    seen = 0

    def encode(self, columns: Columns) -> Any:
        self.seen += row_count(columns)
        return super().encode(columns) + np.float32(self.seen / 1000)


class Placed(Lengths):
    def encode(self, columns: Columns) -> Any:
        encoded = super().encode(columns)
        return (encoded.T + np.arange(len(encoded)) / 50).T.astype(np.float32)


class Neighbourly(Lengths):
    def encode(self, columns: Columns) -> Any:
        encoded = super().encode(columns)
        return encoded - encoded.mean(axis=0) if len(encoded) else encoded


class Crowded(Lengths):
    """Puts what it is asked about where all threads write."""

    def encode(self, columns: Columns) -> Any:
        self.asked = getattr(self, "asked", 0) + 1
        mine = self.asked
        time.sleep(0.01)
        encoded = super().encode(columns)
        return encoded if mine == self.asked else encoded[::-1]


class Greedy(Lengths):
    def fit(self, columns: Columns, record: RecordConfig) -> None:
        for column in columns.values():
            column[:] = [text or "" for text in column]
        super().fit(columns, record)


class Forgetful(Lengths):
    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = super().load(directory, params)
        loaded.means = {name: mean + 1 for name, mean in loaded.means.items()}
        return loaded


class Pickled(Lengths):
    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory / "more.bin").write_bytes(pickle.dumps(self.means))


class Picky(Lengths):
    def encode(self, columns: Columns) -> Any:
        for text in columns["body"]:
            if not any(letter.isascii() and letter.isalpha() for letter in text):
                raise KeyError(text)
        return super().encode(columns)


class Nameless(Lengths):
    """Refuses what has no letter, and does not say in which field."""

    def problems(self, columns: Columns) -> Sequence[Problem]:
        bodies = enumerate(columns["body"])
        return [Problem(row, "", "no letters") for row, text in bodies if not any(map(str.isalpha, text))]


class Refusing(Lengths):
    def problems(self, columns: Columns) -> Sequence[Problem]:
        return [
            Problem(row, "body", "field 'body': no letters")
            for row, text in enumerate(columns["body"])
            if not any(map(str.isalpha, text))
        ]


class Beside(Lengths):
    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory.parent / "escape.txt").write_text("x")


BROKEN_BY: dict[str, type[Lengths]] = {
    "stays_in_its_folder": Beside,
    "says_what_it_encodes": Boastful,
    "refuses_unknown_parameters": Tolerant,
    "gives_rows_of_one_shape": Double,
    "tells_records_apart": Blind,
    "no_rows_get_no_rows": Empty,
    "the_same_rows_make_the_same_encoder": Unseeded,
    "what_was_encoded_before_changes_nothing": Learning,
    "order_changes_nothing": Placed,
    "batch_size_changes_nothing": Neighbourly,
    "threads_change_nothing": Crowded,
    "leaves_records_as_they_are": Greedy,
    "save_and_load_agree": Forgetful,
    "keeps_no_pickle": Pickled,
    "answers_what_is_missing_or_unknown": Picky,
    "refuses_records_by_name": Nameless,
}


def held(found: type[Any], kind: str = "text") -> dict[str, Finding]:
    name = f"{__name__}:{found.__name__}"
    return {one.law: one for one in hold_encoder_to_laws(name, kind, {})}


def test_a_class_that_says_next_to_nothing_keeps_them_all() -> None:
    states = {one.law: one.state for one in held(Lengths).values()}
    assert {law for law, state in states.items() if state != "kept"} == {"refuses_records_by_name"}
    assert "broken" not in states.values()
    assert {one.state for one in held(Refusing).values()} == {"kept"}


@pytest.mark.parametrize("law", ENCODER_LAWS)
def test_each_law_is_broken_by_a_class_made_for_it(law: str) -> None:
    finding = held(BROKEN_BY[law])[law]
    assert finding.state == "broken"
    assert finding.saw
    assert finding.asks.endswith(".")


class Sums:
    """A number for each field, whatever its type."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        assert not params, params

    def fit(self, columns: Columns, record: RecordConfig) -> None:
        pass

    def encode(self, columns: Columns) -> Any:
        rows = []
        for column in columns.values():
            if column.dtype == object:
                rows.append([float(len(str(value))) for value in column])
            else:
                flat = column.astype(np.float64).reshape(len(column), math.prod(column.shape[1:]))
                rows.append(np.nan_to_num(flat.sum(axis=1) / 1e15).tolist())
        return np.array(rows, dtype=np.float32).T.reshape(row_count(columns), len(columns))

    def save(self, directory: Path) -> None:
        pass

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:  # noqa: ARG003
        return cls(params)


@pytest.mark.parametrize("kind", ["tabular", "mixed", "text", "image"])
def test_records_are_made_for_every_kind(kind: str) -> None:
    assert {one.law: one.saw for one in held(Sums, kind).values() if one.state == "broken"} == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nopackage.encoders:Net", "package nopackage is not installed here"),
        (f"{__name__}:Length", "has no 'Length' .is 'Lengths' meant"),
        (f"{__name__}:Finding", "it lacks fit, encode, save, load"),
        ("letters", "got 'letters'; allowed: standard"),
    ],
)
def test_what_is_no_encoder_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(EncoderUnavailable, match=message):
        list(hold_encoder_to_laws(name, "text", {}))


def test_parameters_that_it_refuses_are_told() -> None:
    with pytest.raises(EncoderFailed, match="cannot be made: unknown parameters: depth"):
        list(hold_encoder_to_laws(f"{__name__}:Lengths", "text", {"depth": 3}))
