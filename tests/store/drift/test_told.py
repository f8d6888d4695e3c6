"""What is told of a drift check: the part that moved and its columns, or why nothing can be known."""

from __future__ import annotations

from typing import Any

from store.drift.told import moved_columns, tell_check

STAYED = {"drifted": False, "value": 0.01, "method": "wasserstein"}
MOVED = {"drifted": True, "value": 0.4, "method": "jensenshannon"}


def report(**changes: Any) -> dict[str, Any]:
    return {
        "reason": "0 of 2 columns moved", "columns": {"age": STAYED, "plan": STAYED},
        "parts": {"data": "no_drift", "answers": "no_drift", "labels": "no_drift"},
        "answers": {"columns": {"label": STAYED}}, "labels": {"columns": {"label": STAYED}},
    } | changes  # fmt: skip


def test_where_labels_moved_alone_it_says_so_and_nothing_of_the_data() -> None:
    parts = {"data": "no_drift", "answers": "no_drift", "labels": "drift"}
    found = report(parts=parts, labels={"columns": {"label": MOVED}})
    assert moved_columns(found, "drift") == {"labels": ["label"]}
    assert tell_check(found, "drift") == "labels moved: label (1 of 1 column)"


def test_several_parts_each_name_their_columns() -> None:
    parts = {"data": "drift", "answers": "drift", "labels": "no_drift"}
    found = report(parts=parts, columns={"age": MOVED, "plan": STAYED}, answers={"columns": {"label": MOVED}})
    assert tell_check(found, "drift") == (
        "data moved: age (1 of 2 columns); answers moved: label (1 of 1 column)"
    )


def test_where_nothing_can_be_known_it_says_why() -> None:
    reason = "3 recent and 5000 reference rows; 100 of each are needed"
    found = report(reason=reason, columns={}, parts={"data": "too_little_evidence"})
    assert tell_check(found, "too_little_evidence") == reason


def test_what_moved_too_little_is_named() -> None:
    assert tell_check(report(), "no_drift") == "nothing moved"
    some = report(columns={"age": MOVED, "plan": STAYED})
    assert tell_check(some, "no_drift") == "age moved, too few of 2 columns"


def test_a_check_of_an_earlier_release_is_of_data_only() -> None:
    assert tell_check({"columns": {"age": MOVED}}, "drift") == "data moved: age (1 of 1 column)"
