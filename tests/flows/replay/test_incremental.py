"""Models that learn row by row, under the same delay, and that go on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.schema import FieldConfig, RecordConfig
from flows.replay import incremental
from flows.replay.incremental import LEARNERS, play_incremental, unsuited
from tests.flows.replay.worlds import USE_CASE, stage, world


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_learns(tmp_path: Path, name: str) -> None:
    played = play_incremental(stage(world(8), tmp_path), name, tmp_path / name)
    assert len(played.by_period) == 6
    assert played.by_period[-1] > 0.8
    assert played.fit_seconds > 0


def test_labels_that_have_not_come_are_not_learned(tmp_path: Path) -> None:
    late = stage(world(8, turns_at=4), tmp_path, first=4, delay=2)
    early = stage(world(8, turns_at=4), tmp_path, first=4)
    slow = play_incremental(late, "river_hat", tmp_path / "late")
    fast = play_incremental(early, "river_hat", tmp_path / "early")
    assert slow.by_period[1] < 0.3
    assert slow.accuracy < fast.accuracy


def test_one_that_was_killed_goes_on_and_comes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = play_incremental(stage(world(8), tmp_path), "river_hat", tmp_path / "whole")
    write, written = incremental._write, []

    def write_twice(file: Path, kept: incremental._Kept) -> None:
        write(file, kept)
        written.append(len(kept.right))
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(incremental, "KEPT_EVERY", 0.0)
    monkeypatch.setattr(incremental, "_write", write_twice)
    with pytest.raises(KeyboardInterrupt):
        play_incremental(stage(world(8), tmp_path), "river_hat", tmp_path / "cut")
    again = play_incremental(stage(world(8), tmp_path), "river_hat", tmp_path / "cut")
    assert written == [1, 2, 3, 4, 5, 6, 6]  # the last time when all is played
    assert again.by_period == whole.by_period


def test_without_river_the_others_are_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "find_spec", lambda _: None)
    assert unsuited(USE_CASE) == "river is not installed; it comes with the extra `replay`"


def test_what_they_cannot_take_is_said() -> None:
    assert unsuited(USE_CASE) is None
    record = RecordConfig(fields=(FieldConfig(name="words", type="text"),))
    assert unsuited(USE_CASE.model_copy(update={"record": record})) == (
        "it has no use for field 'words' of type text"
    )
