"""Hard files through the readers: a few always, many in the slow suite, all by a command."""

from __future__ import annotations

import pytest

from benchmarks.fuzz import readers as fuzz_readers
from benchmarks.fuzz.hard_files import PATTERNS, File


def test_hard_files_are_read_or_refused() -> None:
    tally = fuzz_readers.run(first_seed=1, count=60)
    assert tally.failures == []
    assert tally.files == 60
    assert set(tally.outcomes) == {"read", "read, some rows refused", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", [11, 12])
def test_many_hard_files_are_read_or_refused(first_seed: int) -> None:
    assert fuzz_readers.run(first_seed, count=1000).failures == []


def test_a_traceback_and_a_slow_file_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(fuzz_readers, "outcome_of", broken)
    failures = fuzz_readers.run(first_seed=1, count=2).failures
    assert len(failures) == 2 * len(fuzz_readers.TASKS)
    assert "ZeroDivisionError" in failures[0]["why"]
    monkeypatch.setattr(fuzz_readers, "outcome_of", lambda *_: "read")
    monkeypatch.setattr(fuzz_readers, "START_SECONDS", -1000.0)
    assert "seconds for" in fuzz_readers.run(first_seed=1, count=2).failures[0]["why"]


def test_patterns_grow() -> None:
    files: list[File] = [(name, make(50)) for name, make in PATTERNS]
    assert all(len(data) >= 50 for _, data in files)
