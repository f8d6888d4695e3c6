"""What a retrain learns from that production has not: told in its result."""

from __future__ import annotations

from typing import Any

from flows.retrain.newness import Newness
from store.runs.rows import recent_runs
from tests.flows.retrain.turns import Orchard


def last_result(orchard: Orchard) -> dict[str, Any]:
    with orchard.context.connect() as conn:
        (run,) = recent_runs(conn, orchard.name, 1)
    assert run.result is not None
    return run.result


def test_labels_that_are_new_and_rows_that_were_held_out_are_told_apart(empty_orchard: Orchard) -> None:
    empty_orchard.take_in(1500, edge=0.5)
    empty_orchard.retrain()
    first = last_result(empty_orchard)
    assert first["newness"] is None
    empty_orchard.take_in(1, edge=0.5, seed=9)
    empty_orchard.retrain()
    second = last_result(empty_orchard)
    told = second["newness"]
    held_out = 1501 - second["train_rows"]
    assert told["rows"] == second["train_rows"]
    assert told["new"] <= 1
    assert told["returned"] == first["holdout_rows"] + 1 - told["new"] - held_out
    assert told["returned"] > 0
    (warning,) = [one for one in second["warnings"] if "had been held out when that was made" in one]
    assert warning.startswith(f"of {told['rows']:,} rows to learn from {told['new']} label")
    empty_orchard.take_in(800, edge=0.5, seed=3)
    empty_orchard.retrain()
    third = last_result(empty_orchard)["newness"]
    assert third["new"] > third["returned"]


def test_it_is_a_warning_only_where_more_was_there_before_than_is_new() -> None:
    assert Newness(100, new=20, returned=20, since=1).sentence is None
    assert Newness(1000, new=1, returned=200, since=3).sentence == (
        "of 1,000 rows to learn from 1 label is new since version 3, and 200 rows had been held out when "
        "that was made: a gain may be due to those"
    )
