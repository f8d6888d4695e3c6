"""The ledger and the runs as a terminal of 80 columns shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.cli.commands.production.history import _ledger_head
from flows.cli.terminal.output import passages, result_console
from models.production.ledger import Entry, Event

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
REASON = (
    "scored below production: accuracy 0.8123 against 0.8342 on 512 held-out rows, interval -0.03 to 0.01"
)


def entry(event: Event, old: int | None, new: int | None) -> Entry:
    return Entry(1, "plans", AT, event, "schedule", old, new, REASON, {}, None)


@pytest.mark.parametrize(
    ("one", "head"),
    [
        (entry("rejected", 2, 3), "rejected, version 3 against 2, by the schedule"),
        (entry("promoted", 2, 3), "promoted, version 2 to 3, by the schedule"),
        (entry("promoted", None, 1), "promoted, version 1, by the schedule"),
        (entry("canary", 2, 3), "canary, version 3 against 2, by the schedule"),
        (entry("canary_ended", 3, 2), "canary_ended, version 3 against 2, by the schedule"),
        (entry("paused", None, None), "paused, by the schedule"),
    ],
)
def test_a_head_says_when_what_and_which_versions(one: Entry, head: str) -> None:
    assert _ledger_head(one) == f"2026-11-01 12:00:00 UTC  {head}"


def test_reasons_have_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    one = entry("rejected", 2, 3)
    result_console().print(passages([(_ledger_head(one), one.reason)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == _ledger_head(one)
    assert [len(line) <= 80 for line in lines] == [True] * 3
    assert " ".join(line.strip() for line in lines[1:]) == REASON
    assert lines[1].startswith("  scored below production")
