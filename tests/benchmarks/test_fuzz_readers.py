"""Hard files through the readers: a few always, many in the slow suite, all by a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz import readers as fuzz_readers
from benchmarks.fuzz.hard_files import PATTERNS, File


def test_hard_files_are_read_or_refused(tmp_path: Path) -> None:
    tally = fuzz_readers.run(1, 60, tmp_path / "files")
    assert tally.failures == []
    assert tally.files == 60
    assert set(tally.outcomes) == {"read", "read, some rows refused", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", [11, 12])
def test_many_hard_files_are_read_or_refused(first_seed: int, tmp_path: Path) -> None:
    assert fuzz_readers.run(first_seed, 1000, tmp_path / "files").failures == []


def test_a_traceback_and_a_slow_file_are_failures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(fuzz_readers, "outcome_of", broken)
    failures = fuzz_readers.run(1, 2, tmp_path / "first").failures
    assert len(failures) == 2 * len(fuzz_readers.TASKS)
    assert "ZeroDivisionError" in failures[0]["why"]
    monkeypatch.setattr(fuzz_readers, "outcome_of", lambda *_: "read")
    monkeypatch.setattr(fuzz_readers, "START_SECONDS", -1000.0)
    assert "seconds for" in fuzz_readers.run(1, 2, tmp_path / "second").failures[0]["why"]


def test_patterns_grow() -> None:
    files: list[File] = [(name, make(50)) for name, make in PATTERNS]
    assert all(len(data) >= 50 for _, data in files)


def test_the_file_that_a_process_died_of_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz_readers, "RESULTS", tmp_path / "fuzz_readers.json")
    folder = tmp_path / "files" / "7"
    folder.mkdir(parents=True)
    (folder / "hard.parquet").write_bytes(b"PAR1")
    assert fuzz_readers.tell_of_death(folder.parent) == 1
    kept = tmp_path / "fuzz_died_of_7_hard.parquet"
    assert kept.read_bytes() == b"PAR1"
    assert str(kept) in capsys.readouterr().err
