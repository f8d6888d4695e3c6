"""What is measured of the loop beside its fits: the configuration, the fit, and what must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.overhead import loop
from benchmarks.overhead.__main__ import judge
from benchmarks.overhead.loop import Turn
from benchmarks.overhead.timed import Timed
from configs.schema import UseCase
from models.errors import TrainingStopped
from models.estimators.fit_watch import SilentWatch


def turn(bare: float, asked: float) -> Turn:
    return Turn(bare, asked, waited=0.1, steps={"train": bare}, outcome="promoted", spent={"worker": asked})


def test_the_use_case_has_one_fit_and_no_run_that_begins_by_itself() -> None:
    ((name, text),) = loop.configured([1.2]).items()
    use_case = UseCase.model_validate(yaml.safe_load(text))
    assert use_case.name == name == "fit_1_2"
    assert (use_case.schedule.ingest, use_case.schedule.drift, use_case.schedule.retrain) == (None,) * 3
    assert use_case.training.baseline == "never"
    assert [one.name for one in use_case.training.challengers] == ["full"]


def test_targets_are_of_medians_and_of_the_lengths_that_were_measured() -> None:
    turns = {4.0: [turn(4, 7.5), turn(4, 9), turn(5, 8)], 60.0: [turn(60, 73), turn(60, 61), turn(60, 80)]}
    cheap, dear = {"worker": 0.4, "prefect": 0.5}, {"worker": 0.7, "prefect": 0.5}
    checks = {"cheap": [dear, cheap, cheap], "dear": [dear, cheap, dear]}
    met = {target.name: target.met for target in judge(turns, checks)}
    assert met == {
        "a retrain with a fit of 60 s: times the fit": False,
        "a retrain with a fit of 4 s: beyond it": True,
        "processor: cheap": True,
        "processor: dear": False,
    }
    assert judge({1.2: [turn(1.2, 9)]}, {}) == []


class Stopping(SilentWatch):
    def should_stop(self) -> bool:
        return True


def test_the_fit_takes_its_time_learns_and_stops(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 60)
    x = random.normal(size=(60, 3)) + 5 * y[:, None]
    made = Timed({"cpu_seconds": 0.0})
    made.fit(x, y, n_classes=2, seed=0, watch=SilentWatch())
    made.save(tmp_path)
    again = Timed.load(tmp_path, {"cpu_seconds": 0.0})
    assert (again.predict_proba(x).argmax(axis=1) == y).all()
    with pytest.raises(TrainingStopped):
        Timed({"cpu_seconds": 60.0}).fit(x, y, n_classes=2, seed=0, watch=Stopping())
