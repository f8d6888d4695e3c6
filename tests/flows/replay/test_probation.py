"""What a replayed loop has promoted is watched as it is in the loop, and taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flows.replay.history import History
from flows.replay.playing import Played, play
from flows.replay.policies import Loop
from tests.flows.replay.worlds import PERIOD, USE_CASE, stage, world


def to_and_fro(turns_at: int, back_at: int) -> History:
    """The other label between two periods."""
    history = world(12, turns_at=turns_at)
    labels = history.rows.labels.copy()
    labels[back_at * PERIOD :] = world(12).rows.labels[back_at * PERIOD :]
    return replace(history, rows=replace(history.rows, labels=labels))


def played(folder: Path, **probation: object) -> tuple[Played, Loop]:
    config = USE_CASE.probation.model_copy(update=probation)
    loop = Loop(USE_CASE.model_copy(update={"probation": config}))
    return play(stage(to_and_fro(4, 6), folder), loop), loop


def test_what_the_world_has_left_is_taken_back_after_one_period(tmp_path: Path) -> None:
    watched, loop = played(tmp_path / "fits")
    unwatched, _ = played(tmp_path / "fits", labels=0)
    assert (watched.rollbacks, unwatched.rollbacks) == (1, 0)
    assert len([note for note in loop.notes if note.startswith("taken back: on ")]) == 1
    assert watched.promoted_at[0] == 4, "the other label is learned"
    assert watched.by_period[4] < 0.3, "the world has turned back, and nobody knew"
    assert watched.by_period[5] > 0.9
    assert watched.accuracy >= unwatched.accuracy


def test_where_people_are_only_told_nothing_is_taken_back(tmp_path: Path) -> None:
    told, _ = played(tmp_path / "fits", action="tell")
    assert told.rollbacks == 0


def test_a_world_that_stays_takes_nothing_back(tmp_path: Path) -> None:
    assert play(stage(world(12), tmp_path), Loop(USE_CASE)).rollbacks == 0


def test_only_what_comes_after_it_brings_anything_back(tmp_path: Path) -> None:
    """All that came by the rollback is known to what serves again, so that no row is left to judge on."""
    played_stage, loop = stage(to_and_fro(4, 6), tmp_path), Loop(USE_CASE)
    production = loop.first(played_stage, played_stage.known(1))
    for period in range(2, 7):
        production = loop.next(played_stage, period, production) or production
    assert production.is_taken_back
    assert production.known == played_stage.known(6)
    _, holdout = loop._challengers(played_stage, played_stage.known(6), production)
    assert len(holdout) == 0
    assert loop.next(played_stage, 6, production) is None, "nothing is watched, and nothing is new"
