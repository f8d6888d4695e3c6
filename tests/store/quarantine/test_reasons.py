"""Reasons: what arrived does not count, the field and the rule do."""

from __future__ import annotations

import pytest

from features.errors import RefusedRow
from store.quarantine.reasons import ReasonTally, rules_of

PICTURE = "allowed: 16x24x3 numbers from 0 to 255, or a PNG or JPEG of any size"
TIME = "allowed: a time in ISO 8601, such as 2024-05-01T12:30:00Z"


@pytest.mark.parametrize(
    ("reason", "rules"),
    [
        (f"field 'at': got 'Mar-2018' (text); {TIME}", [f"field 'at': got …; {TIME}"]),
        (f"field 'at': got '; allowed: x' (text); {TIME}", [f"field 'at': got …; {TIME}"]),
        (
            f"field 'at': got 'a' (text); {TIME}; label: missing; allowed: one of 'x', 'y'",
            [f"field 'at': got …; {TIME}", "label: missing; allowed: one of 'x', 'y'"],
        ),
        (f"field 'p': got a GIF, not a PNG or JPEG; {PICTURE}",
         [f"field 'p': got a GIF, not a PNG or JPEG; {PICTURE}"]),
        (f"field 'p': got a PNG of 20000x20000; decoded are at most 25 million pixels; {PICTURE}",
         [f"field 'p': got a PNG of …; decoded are at most … million pixels; {PICTURE}"]),
        (f"field 'p': got a damaged PNG (image file is truncated (12 bytes not processed)); {PICTURE}",
         [f"field 'p': got a damaged PNG (image file is truncated (… bytes not processed)); {PICTURE}"]),
        (f"field 'p': got 'a.png' (text), and there is no such file; {PICTURE}; label: missing; allowed: 'a'",
         [f"field 'p': got … (text), and there is no such file; {PICTURE}", "label: missing; allowed: 'a'"]),
        (f"field 'p': got \"it's; x.png\" (text), which answers 404; allowed: 200; {PICTURE}",
         [f"field 'p': got … (text), which answers …; allowed: …; {PICTURE}"]),
        (f"field 'p': got -1.5e-07 as a pixel; {PICTURE}", [f"field 'p': got … as a pixel; {PICTURE}"]),
        ("field 'k': got 'x' (text); allowed: one of 'PNG', 'JPEG'",
         ["field 'k': got …; allowed: one of 'PNG', 'JPEG'"]),
        ("3 values; the header has 5 columns", ["… values; the header has … columns"]),
        ("id 'a7' stands earlier in the file with another record or label",
         ["id … stands earlier in the file with another record or label"]),
        ("prediction_id: no prediction 'p1' is known", ["prediction_id: no prediction … is known"]),
        ("field 'n2': missing; allowed: a number", ["field 'n2': missing; allowed: a number"]),
    ],
)  # fmt: skip
def test_a_rule_is_the_reason_without_what_arrived(reason: str, rules: list[str]) -> None:
    assert list(rules_of(reason)) == rules
    assert "; ".join(rules_of(reason).values()) == reason


def test_the_tally_counts_by_rule_and_shows_the_first_row_of_each() -> None:
    tally = ReasonTally()
    tally.add("a.csv", [RefusedRow(7, "field 'n': got 'x' (text); allowed: a number", {})])
    tally.add("a.csv", [RefusedRow(9, "label: missing; allowed: one of 'a'", {})])
    for line, came in enumerate("xyxzu", 12):
        tally.add("a.csv", [RefusedRow(line, f"field 'n': got '{came}' (text); allowed: a number", {})])
    first, second = tally.reasons
    assert tally.rows == 7
    assert (first.rows, first.line, second.rows, second.line) == (6, 7, 1, 9)
    assert first.sentence == (
        "field 'n': got 'x' (text); allowed: a number - 6 rows, e.g. a.csv line 7; "
        "also 'y' (text) and 'z' (text)"
    )
    assert second.sentence == "label: missing; allowed: one of 'a' - 1 row, e.g. a.csv line 9"
