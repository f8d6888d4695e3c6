"""Columns that give the label away are named and left out; those that are strong by right are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.drafting.leaks import MOST_ROWS, Matrix, suspects
from tests.flows.drafting.files import drafted, reason_of, table, write_csv

ROWS = 400
RANDOM = np.random.default_rng(9)
BASE = table(ROWS)
IS_YES = np.array(BASE["label"]) == "yes"
BORN = [f"19{place % 90 + 10}-05-01" for place in range(ROWS)]
LEAKS: dict[str, tuple[str, list[Any], str]] = {
    "the label in other words": ("churned", np.where(IS_YES, "left", "stays").tolist(), "says the same"),
    "the label as a number": ("flag", IS_YES.astype(int).tolist(), "says the same"),
    "a score of the label": ("probability", np.where(IS_YES, 0.7, 0.2).tolist(), "says the same"),
    "a date of one class": ("ended", np.where(IS_YES, BORN, "").tolist(), "none of the"),
    "a number of one class": ("refund", np.where(IS_YES, np.arange(ROWS), np.nan).tolist(), "none of the"),
    "a number from a border on": (
        "minutes",
        (np.where(IS_YES, 100, 0) + RANDOM.integers(0, 90, ROWS)).tolist(),
        "the other columns together",
    ),
    "values of which each has one class": (
        "reason",
        [f"{'x' if yes else 'y'}{place % 9}" for place, yes in enumerate(IS_YES)],
        "the other columns together",
    ),
    "the target's name": (
        "label_encoded",
        np.where(RANDOM.random(ROWS) < 0.1, ~IS_YES, IS_YES).astype(float).tolist(),
        "its name is that of the target",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_left_out_with_its_evidence(tmp_path: Path, kind: str) -> None:
    name, values, words = LEAKS[kind]
    path = write_csv(tmp_path / "leak.csv", {**BASE, name: values})
    made = drafted(path)
    assert reason_of(made, name) == "leak"
    assert [one.column for one in made.suspects] == [name]
    assert words in made.suspects[0].why
    kept = drafted(path, keep=(name,))
    assert reason_of(kept, name) is None
    assert any(f"'{name}' is kept, and may give the label away" in one for one in kept.warnings)


SEASONS = np.arange(ROWS) % 4
WORDS = np.array(["spring", "summer", "autumn", "winter"])[SEASONS]


def spread(wrong: float = 0.0) -> dict[str, list[int]]:
    """The label a second time, as columns of 0 and 1; of the last class all are 0."""
    random = np.random.default_rng(4)
    said = np.where(random.random(ROWS) < wrong, random.integers(0, 4, ROWS), SEASONS)
    return {name: (said == place).astype(int).tolist() for place, name in enumerate(("d1", "d2", "d3"))}


def test_a_leak_that_is_spread_over_columns_is_left_out(tmp_path: Path) -> None:
    columns = {"size": BASE["size"], "flag": (np.arange(ROWS) % 3 == 0).astype(int).tolist(), **spread()}
    made = drafted(write_csv(tmp_path / "s.csv", {**columns, "label": WORDS.tolist()}))
    assert {one.column for one in made.suspects} == {"d1", "d2", "d3"}
    assert all(reason_of(made, name) == "leak" for name in ("d1", "d2", "d3"))
    assert "one of 3 columns of 0 and 1" in made.suspects[0].why
    assert reason_of(made, "flag") is None
    kept = drafted(tmp_path / "s.csv", keep=("d1", "d2", "d3"))
    assert reason_of(kept, "d1") is None


def test_a_category_in_columns_that_errs_is_kept_and_named(tmp_path: Path) -> None:
    columns = {"size": BASE["size"], **spread(wrong=0.12)}
    made = drafted(write_csv(tmp_path / "s.csv", {**columns, "label": WORDS.tolist()}))
    assert {one.verdict for one in made.suspects} == {"warn"}
    assert reason_of(made, "d1") is None


def test_a_leak_and_the_same_in_columns_do_not_hide_each_other(tmp_path: Path) -> None:
    number = (SEASONS * 100 + np.arange(ROWS) % 89).tolist()
    columns = {"size": BASE["size"], "number": number, **spread()}
    made = drafted(write_csv(tmp_path / "s.csv", {**columns, "label": WORDS.tolist()}))
    assert {one.column for one in made.suspects} == {"number", "d1", "d2", "d3"}


@pytest.mark.parametrize("seed", range(3))
def test_flags_that_exclude_each_other_by_chance_are_no_leak(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    flags = {f"f{place}": (random.random(ROWS) < 0.02).astype(int).tolist() for place in range(12)}
    columns = {"size": BASE["size"], **flags}
    made = drafted(write_csv(tmp_path / "s.csv", {**columns, "label": WORDS.tolist()}))
    assert made.suspects == ()


def test_two_leaks_do_not_hide_each_other(tmp_path: Path) -> None:
    one, other = (LEAKS[kind] for kind in ("a number from a border on", "values of which each has one class"))
    made = drafted(write_csv(tmp_path / "two.csv", {**BASE, one[0]: one[1], other[0]: other[1]}))
    assert {suspect.column for suspect in made.suspects} == {one[0], other[0]}


def test_a_strong_column_is_kept_and_named(tmp_path: Path) -> None:
    noisy = np.where(RANDOM.random(ROWS) < 0.05, ~IS_YES, IS_YES)
    strong = (noisy * 10 + RANDOM.normal(0, 1, ROWS)).tolist()
    made = drafted(write_csv(tmp_path / "strong.csv", {**BASE, "dose": strong}))
    assert reason_of(made, "dose") is None
    assert [(one.column, one.verdict) for one in made.suspects] == [("dose", "warn")]


def test_columns_that_are_strong_together_are_no_leaks(tmp_path: Path) -> None:
    one, other = (IS_YES * 4 + RANDOM.normal(0, 1, ROWS) for _ in range(2))
    made = drafted(write_csv(tmp_path / "fine.csv", {**BASE, "one": one.tolist(), "other": other.tolist()}))
    assert made.suspects == ()


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_no_leak(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = {f"n{place}": random.normal(0, 1, ROWS).tolist() for place in range(20)}
    words = {f"w{place}": random.integers(0, 40, ROWS).astype(str).tolist() for place in range(5)}
    gaps = np.where(random.random(ROWS) < 0.3, np.nan, random.normal(0, 1, ROWS))
    columns = {**noise, **words, "gaps": gaps.tolist(), "label": random.permutation(BASE["label"]).tolist()}
    assert drafted(write_csv(tmp_path / "noise.csv", columns)).suspects == ()


def test_the_evidence_says_of_how_many_rows_it_is() -> None:
    labels = ["yes", "no"] * MOST_ROWS
    matrix = Matrix({"flag": np.array([one == "yes" for one in labels], float)}, frozenset(), frozenset())
    (suspect,) = suspects(matrix, labels, "label")
    assert suspect.why.endswith("in 3,000 of 6,000 rows")
