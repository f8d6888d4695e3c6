"""Warm starts in a replay: they continue from what serves, as those of a retrain do."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from configs.schema import ChallengerConfig, ModelConfig, UseCase
from flows.replay import fits
from flows.replay.fits import FitStore, Parent, Wanted
from flows.replay.history import cut
from flows.replay.plan import Plan
from flows.replay.playing import Played, Stage, play
from flows.replay.policies import Loop
from flows.replay.runner import replay
from models.estimators.fit_watch import SilentWatch
from models.versions.fitting import fit_challenger
from tests.flows.replay.worlds import PERIOD, USE_CASE, world

TRAINING = USE_CASE.training.model_copy(
    update={"challengers": (ChallengerConfig(name="full"), ChallengerConfig(name="more", fit="warm"))}
)
WARM = USE_CASE.model_copy(
    update={
        "model": ModelConfig(
            estimator="catboost",
            params={"iterations": 20, "update_iterations": 30, "update_learning_rate": 0.3},
        ),
        "training": TRAINING,
    }
)
FULL, MORE = TRAINING.challengers
HISTORY = world(12, turns_at=4)


def stage(folder: Path, use_case: UseCase = WARM) -> Stage:
    return Stage(use_case, HISTORY, cut(HISTORY, PERIOD, 2), FitStore(folder, HISTORY, use_case))


def warm_in_turn(played: Played) -> int:
    """How often a warm start took the place of another one."""
    promoted = [note.partition(":")[0] for note in played.notes if "beats_production" in note]
    return sum(pair == ("more", "more") for pair in pairwise(promoted))


def test_a_warm_start_is_played_and_learns_only_what_is_new(tmp_path: Path) -> None:
    played = stage(tmp_path)
    parent = Wanted(FULL, np.arange(200), is_kept=True)
    learned = np.arange(300)
    warm = Wanted(MORE, learned, parent=Parent(played.fits.key(parent), parent.train))
    played.fits.get(parent)
    answers = played.fits.get(warm)
    assert answers.asked.tolist() == list(range(300, len(HISTORY)))
    assert warm.size == 100
    manifest_of = played.fits.versions.path(played.fits.key(parent))
    rows = np.arange(200, 300)
    columns = {name: values[rows] for name, values in HISTORY.rows.columns.items()}
    by_hand = fit_challenger(
        WARM, columns, HISTORY.rows.labels[rows].tolist(),
        challenger=MORE, watch=SilentWatch(), parent=manifest_of,
    )  # fmt: skip
    later = {name: values[300:] for name, values in HISTORY.rows.columns.items()}
    expected = by_hand.estimator.predict_proba(by_hand.encoder.encode(later))
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-6)


def test_a_chain_of_warm_starts_serves_and_a_resumed_replay_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = play(stage(tmp_path), Loop(WARM))
    assert warm_in_turn(first) >= 2, first.notes
    (left,) = (tmp_path / "versions").iterdir()
    assert (left / "manifest.json").exists(), "only what serves at the end is left to continue from"
    monkeypatch.setattr(fits, "make_fit", None)
    again = play(stage(tmp_path), Loop(WARM))
    assert (again.notes, again.by_period) == (first.notes, first.by_period)


@pytest.mark.slow
def test_versions_that_are_gone_are_made_anew(tmp_path: Path) -> None:
    whole = play(stage(tmp_path / "whole"), Loop(WARM))
    play(stage(tmp_path / "cut"), Loop(WARM))
    shutil.rmtree(tmp_path / "cut" / "versions")
    newest = sorted((tmp_path / "cut").glob("*.npz"), key=lambda path: path.stat().st_mtime)
    for path in newest[-4:]:
        path.unlink()
    resumed = play(stage(tmp_path / "cut"), Loop(WARM))
    assert (resumed.notes, resumed.by_period) == (whole.notes, whole.by_period)


def test_without_new_rows_there_is_no_warm_start(tmp_path: Path) -> None:
    played = stage(tmp_path)
    parent = Wanted(FULL, np.arange(200), is_kept=True)
    played.fits.get(parent)
    answers = played.fits.get(
        Wanted(MORE, parent.train, parent=Parent(played.fits.key(parent), parent.train))
    )
    assert answers.failure is not None
    assert "has not learned from" in answers.failure


def test_no_version_is_written_where_nothing_continues(tmp_path: Path) -> None:
    play(stage(tmp_path, USE_CASE), Loop(USE_CASE))
    assert not (tmp_path / "versions").exists()


@pytest.mark.slow
def test_processes_play_it_as_one_does(tmp_path: Path) -> None:
    alone = play(stage(tmp_path / "alone"), Loop(WARM))
    plan = Plan(WARM, HISTORY, cut(HISTORY, PERIOD, 2), tmp_path / "plan", jobs=2)
    together = replay(plan, lambda *_: None).played["default"]
    assert (together.notes, together.by_period) == (alone.notes, alone.by_period)
