"""The loop as a policy decides as a retrain does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from configs.schema import SliceConfig
from flows.replay.playing import play, thinned, usual_rows
from flows.replay.policies import Loop, Never
from tests.flows.replay.worlds import PERIOD, USE_CASE, stage, world


def test_the_loop_keeps_what_is_as_good_and_tells_why(tmp_path: Path) -> None:
    played = play(stage(world(8), tmp_path), Loop(USE_CASE))
    assert played.harmful == 0
    assert len(played.notes) == 5
    assert all(note.startswith("blend: ") for note in played.notes)


def test_the_loop_promotes_what_is_better_after_a_turn(tmp_path: Path) -> None:
    history = world(12, turns_at=4)
    played = play(stage(history, tmp_path), Loop(USE_CASE))
    assert played.promotions >= 1
    assert any("beats_production" in note for note in played.notes)
    assert played.accuracy > play(stage(history, tmp_path), Never()).accuracy


def test_what_is_surely_worse_on_a_slice_is_not_promoted_in_a_replay_either(tmp_path: Path) -> None:
    history = world(12, turns_at=4)
    storm = history.rows.columns["wind"] > 1
    labels = np.where(storm, np.where(history.rows.columns["moon"] > 0, "high", "low"), history.rows.labels)
    history = replace(history, rows=replace(history.rows, labels=labels.astype(object)))
    rule = SliceConfig(field="wind", ranges={"storm": (1.0, None)}, min_rows=10)
    careful = USE_CASE.model_copy(update={"gate": USE_CASE.gate.model_copy(update={"slices": (rule,)})})
    assert play(stage(history, tmp_path / "all"), Loop(USE_CASE)).promotions >= 1
    loop = Loop(careful)
    assert play(stage(history, tmp_path / "slices"), loop).promotions == 0
    assert any(": slice_worse: surely worse" in note and "wind 'storm'" in note for note in loop.notes)


def test_no_row_is_judged_on_that_production_has_learned_from(tmp_path: Path) -> None:
    played = stage(world(8), tmp_path)
    policy = Loop(USE_CASE)
    first = policy.first(played, played.known(1))
    models, judged = policy._challengers(played, 300, first)
    assert list(models) == ["blend"]
    assert len(judged)
    assert not set(judged) & set(first.train)


def test_with_too_few_rows_it_goes_on_with_what_serves(tmp_path: Path) -> None:
    small = world(4)
    strict = USE_CASE.model_copy(
        update={"training": USE_CASE.training.model_copy(update={"min_rows": 10_000})}
    )
    played = stage(small, tmp_path)
    policy = Loop(USE_CASE)
    first = policy.first(played, played.known(1))
    assert Loop(strict).next(played, 2, first) is None


def test_rows_that_lack_a_class_promote_nothing_unless_they_label_answers(tmp_path: Path) -> None:
    history = world(9, turns_at=2)
    one_class = np.arange(len(history)) < 2 * PERIOD
    one_class |= history.rows.labels == "high"
    history = replace(history, rows=history.rows.take(np.flatnonzero(one_class)))
    loop = Loop(USE_CASE)
    chosen = play(stage(history, tmp_path / "chosen"), loop)
    assert chosen.promotions == 0
    assert "labels_selected: labels may be selected by class" in loop.notes[-1]
    answering = replace(history, answering=np.ones(len(history), dtype=np.bool_))
    assert play(stage(answering, tmp_path / "answering"), Loop(USE_CASE)).promotions > 0


def test_of_rows_that_are_nearly_alike_few_are_judged_on(tmp_path: Path) -> None:
    history = world(6)
    columns = dict(history.rows.columns)
    columns["moon"][-PERIOD:] = 1 + np.arange(PERIOD) * 1e-9
    columns["wind"][-PERIOD:] = 1.0
    crowded = stage(replace(history, rows=replace(history.rows, columns=columns)), tmp_path)
    production = Loop(USE_CASE).first(crowded, 2 * PERIOD)
    places = np.arange(4 * PERIOD, 6 * PERIOD)
    kept = thinned(crowded, usual_rows(crowded, production), places)
    assert len(kept) == PERIOD + 5
