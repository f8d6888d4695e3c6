"""What is enough to hold a version back, and how it gets another chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.watchdog.troubles import CRASH, CRASH_WINDOW_SECONDS, FAILS, HANG, Trouble, Troubles, judge


def trouble(kind: str, at: float = 0.0, doing: str = "answering") -> Trouble:
    return Trouble("digits", 2, kind, doing, at, f"{kind} at {at:g}")


@pytest.mark.parametrize(
    ("troubles", "reason"),
    [
        ([], None),
        ([trouble(HANG)], "hang at 0"),
        ([trouble(FAILS)], "fails at 0"),
        ([trouble(CRASH, doing="loading")], "crash at 0"),
        ([trouble(CRASH)], None),
        ([trouble(CRASH), trouble(CRASH, CRASH_WINDOW_SECONDS)], "crash at 600, twice within 10 minutes"),
        ([trouble(CRASH), trouble(CRASH, CRASH_WINDOW_SECONDS + 1)], None),
        (
            [trouble(CRASH), trouble(CRASH, 700.0), trouble(CRASH, 800.0)],
            "crash at 800, twice within 10 minutes",
        ),
    ],
)
def test_judge(troubles: list[Trouble], reason: str | None) -> None:
    assert judge(troubles) == reason


def test_a_version_that_is_announced_anew_gets_another_chance(tmp_path: Path) -> None:
    troubles = Troubles(tmp_path / "work" / "troubles.jsonl")
    assert (troubles.reason("digits", 2), troubles.content()) == (None, b"")
    troubles.forget("digits", 2)
    troubles.add(trouble(HANG))
    troubles.add(Trouble("digits", 3, HANG, "loading", 1.0, "another"))
    assert len(troubles.content().splitlines()) == 2
    assert troubles.reason("digits", 2) == "hang at 0"
    assert troubles.reason("plans", 2) is None
    troubles.forget("digits", 2)
    assert troubles.reason("digits", 2) is None
    assert Troubles(tmp_path / "work" / "troubles.jsonl").reason("digits", 3) == "another"


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "troubles.jsonl"
    troubles = Troubles(path)
    troubles.add(trouble(HANG))
    path.write_text(path.read_text() + '{"use_case": "dig')
    assert troubles.reason("digits", 2) == "hang at 0"
