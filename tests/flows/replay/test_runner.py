"""A whole replay, in processes, killed and gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.settings import read_settings
from flows.replay.history import cut
from flows.replay.plan import Plan
from flows.replay.runner import Outcome, replay
from flows.replay.starting import ReplayRequest, read_policies, read_policy, run_replay
from tests.flows.replay.worlds import PERIOD, USE_CASE, world

NAMES = [
    "default", "strict", "never", "always_full", "always_window", "best_in_hindsight", "river_arf",
    "river_hat", "bound",
]  # fmt: skip


def silent(done: int, of: int, what: str) -> None:
    del done, of, what


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    history = world(9, turns_at=4)
    path = tmp_path_factory.mktemp("data") / "tides.csv"
    rows = zip(*history.rows.columns.values(), history.rows.labels, history.rows.time, strict=True)
    lines = [f"{number},{at}Z,{moon},{wind},{tide}" for number, (moon, wind, tide, at) in enumerate(rows)]
    path.write_text("\n".join(["id,at,moon,wind,tide", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def replayed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    home = tmp_path_factory.mktemp("home")
    strict = data.with_name("strict.yaml")
    strict.write_text("gate: {min_gain: 2}\n")
    request = ReplayRequest(data, PERIOD, first=2, policies=[strict], jobs=2)
    return run_replay(read_settings({"RATCHET_HOME": str(home)}), USE_CASE, request, silent)


def test_every_policy_is_played_over_the_same_rows(replayed: tuple[Outcome, Path]) -> None:
    document = json.loads((replayed[1] / "replay.json").read_text())
    assert list(document["policies"]) == NAMES
    assert (document["use_case"], document["periods"], document["rows"]) == ("tides", 7, 700)
    for one in document["policies"].values():
        assert len(one["by_period"]) == 7
        assert one["accuracy"] == pytest.approx(sum(one["by_period"]) / 7)
    assert document["left_out"] == {}


def test_policies_stand_to_each_other_as_they_must(replayed: tuple[Outcome, Path]) -> None:
    played = replayed[0].played
    assert played["strict"].promotions == 0
    assert played["default"].promotions >= 1
    assert played["default"].accuracy > played["never"].accuracy
    assert played["best_in_hindsight"] == max(
        (played[name] for name in ("never", "always_full", "always_window")), key=lambda one: one.accuracy
    )
    assert played["bound"].accuracy >= played["best_in_hindsight"].accuracy


def test_a_picture_is_left_beside_the_figures(replayed: tuple[Outcome, Path]) -> None:
    assert (replayed[1] / "replay.png").read_bytes().startswith(b"\x89PNG")


def test_a_replay_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    history = world(7)
    plan = Plan(USE_CASE, history, cut(history, PERIOD, 2), tmp_path / "replay", jobs=1)

    def stop(done: int, of: int, what: str) -> None:
        del of, what
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(plan, stop)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "replay" / "fits").glob("*.npz")}
    assert before
    outcome = replay(plan, silent)
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "replay" / "fits").glob("*.npz")}
    assert before.items() <= after.items()
    assert list(outcome.played) == [name for name in NAMES if name != "strict"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("serving: {max_batch_rows: 1}\n", "a policy sets `training:` and `gate:` only"),
        ("[1]\n", "a policy sets `training:` and `gate:` only; got list"),
        ("", "a policy sets `training:` and `gate:` only; got nothing"),
        ("trainin: {}\n", "a policy sets `training:` and `gate:` only; got trainin"),
        ("gate: null\n", "gate"),
        ("gate: {confidence: 2}\n", "gate.confidence"),
        ("gate: {confidense: 0.9}\n", "gate.confidense"),
    ],
)
def test_a_policy_that_sets_what_cannot_be_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_policy(USE_CASE, path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("names", [["default"], ["bound"], ["mine", "mine"]])
def test_a_policy_whose_name_is_taken_is_refused(tmp_path: Path, names: list[str]) -> None:
    paths = [tmp_path / str(number) / f"{name}.yaml" for number, name in enumerate(names)]
    for path in paths:
        path.parent.mkdir()
        path.write_text("gate: {confidence: 0.9}\n")
    with pytest.raises(ConfigError, match=f"'{names[-1]}' is taken; rename the file"):
        read_policies(USE_CASE, paths)


def test_labels_that_come_later_than_the_first_model_are_refused(data: Path, tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"`--delay` 2: .* after 2 periods.*name fewer than 2"):
        run_replay(settings, USE_CASE, ReplayRequest(data, PERIOD, first=2, delay=2), silent)


def test_a_policy_changes_what_it_sets_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "gate: {confidence: 0.99}\ntraining: {challengers: [{name: full}, {name: w, window: 50}]}\n"
    )
    changed = read_policy(USE_CASE, path)
    assert (changed.gate.confidence, changed.gate.min_rows) == (0.99, 20)
    assert [one.name for one in changed.training.challengers] == ["full", "w"]
    assert changed.training.holdout == USE_CASE.training.holdout
