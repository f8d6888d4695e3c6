"""The record of challengers in the loop: real retrains, a real database and a real MLflow."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.run_options import RunOptions
from flows.retention.pruning import prune
from flows.retrain import sequence
from flows.retrain import shadows as shadow_steps
from flows.retrain.held_run import HeldRun
from flows.retrain.shadows import NOBODY, is_whole
from models.production import ledger
from models.shadows.periods import Period
from store.errors import Fenced
from store.runs import lifecycle
from store.shadows import StoredPeriod, StoredShadow, read_periods, read_shadows
from tests.flows.retrain.turns import Orchard, Turn, flip_byte

pytestmark = pytest.mark.timeout(300)
WRITING = ("log_all", "register_best", "keep_shadows", "act_on_verdict")


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned from 300 apples that those above 0.5 are good: the first period."""
    made = empty_orchard
    made.take_in(300, edge=0.5)
    assert made.retrain().outcome == "promoted"
    return made


def with_shadows(orchard: Orchard, **settings: float) -> Orchard:
    gate = orchard.context.use_case.gate.model_dump()
    return orchard.changed(gate=gate | {"shadows": gate["shadows"] | settings})


def grow(orchard: Orchard, *edges: float, rows: int = 150, first: int = 10) -> list[Turn]:
    """Retrains, each after as many new apples."""
    turned = []
    for place, edge in enumerate(edges):
        orchard.take_in(rows, edge=edge, seed=first + place)
        turned.append(orchard.retrain())
    return turned


def periods(orchard: Orchard) -> list[StoredPeriod]:
    with orchard.context.connect() as conn:
        return read_periods(conn, orchard.name)


def shadows(orchard: Orchard) -> list[StoredShadow]:
    with orchard.context.connect() as conn:
        return read_shadows(conn, orchard.name)


def copies(orchard: Orchard) -> dict[int, Path]:
    """By period, the copy of the one challenger."""
    folder = orchard.context.settings.home / "shadows" / orchard.name
    return {int(path.parent.name): path for path in folder.glob("*/*")}


def tries(orchard: Orchard, version: int) -> int:
    with orchard.context.connect() as conn:
        return ledger.tries_against(conn, orchard.name, version)


@pytest.mark.slow
def test_periods_are_read_back_and_challengers_kept_and_let_go_with_their_copies(orchard: Orchard) -> None:
    orchard = with_shadows(orchard, keep=2, cost=1.0)
    grow(orchard, 0.5, 0.5, 0.5)
    stored = periods(orchard)
    assert [one.number for one in stored] == [1, 2, 3, 4]
    assert [one.number for one in shadows(orchard)] == [3, 4] == sorted(copies(orchard))
    last = Period.from_dict(4, stored[-1].last_seq, stored[-1].evidence)
    assert last.rows == 150
    assert last.as_dict() == stored[-1].evidence
    # Of the two kept before this period ended the newer one, against the other and against production.
    assert [(one.made, one.version, one.gain.rows) for one in last.contests] == [(2, None, 150), (1, 1, 150)]
    assert set(last.members["blend"]) == {"full", "newest_1"}, "wider windows held all rows, as full does"


@pytest.mark.slow
def test_rows_that_are_too_few_for_a_period_stay_for_the_next(orchard: Orchard) -> None:
    grow(orchard, 0.5)
    soon = grow(orchard, 0.5, rows=30, first=20)[0]
    assert soon.outcome != "promoted"
    assert not soon.evidence.record.ends_now
    assert [one.number for one in periods(orchard)] == [1, 2]
    assert sorted(copies(orchard)) == [1, 2]
    grow(orchard, 0.5, rows=30, first=30)
    assert [(one.number, one.evidence["rows"]) for one in periods(orchard)][2:] == [(3, 60)]


@pytest.mark.slow
def test_only_whole_retrains_end_periods_and_are_told_of_the_record(orchard: Orchard) -> None:
    orchard.take_in(150, edge=0.5, seed=2)
    before = periods(orchard)
    few = orchard.retrain(options=RunOptions(sample_count=60))
    assert few.evidence.standing == NOBODY
    assert not few.evidence.record.ends_now
    assert periods(orchard) == before
    warm = orchard.retrain(kind="train")
    assert not warm.evidence.record.ends_now
    assert periods(orchard) == before
    assert [one.number for one in shadows(orchard)] == [1]


def test_a_run_with_options_that_make_less_of_a_challenger_is_not_whole() -> None:
    def whole(kind: str = "retrain", **options: int) -> bool:
        held = HeldRun("run", 1, "", lambda _said: None, kind=kind, options=RunOptions(**options))
        return is_whole(held)

    assert whole()
    assert [whole("train"), whole(sample_count=60), whole(epochs=1)] == [False] * 3


@pytest.mark.slow
def test_members_count_for_what_they_were_worth_and_windows_end_with_periods(orchard: Orchard) -> None:
    still = grow(orchard, 0.5)[0].trained["blend"]
    assert {one.name: one.weight for one in still.members}["newest_1"] < 0.5
    turned = grow(orchard, 0.2, 0.2, 0.2)
    moved = {one.name: one.weight for one in turned[-1].trained["blend"].members}
    assert moved["newest_1"] + moved["newest_3"] > 0.9 > 2 * moved["full"]
    ages = turned[-1].evidence.record
    ends = [one.last_seq for one in periods(orchard)]
    assert ages.ends == ends[:-1], "the one that this retrain ends is the newest window"


@pytest.mark.slow
def test_a_copy_that_is_damaged_or_gone_is_fetched_again(orchard: Orchard) -> None:
    grow(orchard, 0.5, 0.5)
    kept = copies(orchard)
    flip_byte(next(path for path in sorted(kept[1].rglob("*")) if path.is_file() and "json" not in path.name))
    shutil.rmtree(kept[2])
    turn = grow(orchard, 0.5, first=40)[0]
    assert turn.evidence.notes == ()
    assert len(turn.evidence.record.periods[-1].contests) == 3
    assert sorted(copies(orchard)) == [1, 2, 3, 4]


@pytest.mark.slow
def test_what_goes_on_being_scored_is_not_pruned_so_that_other_homes_can_fetch_it(orchard: Orchard) -> None:
    retention = orchard.context.use_case.retention.model_dump() | {"mlflow_runs": 10}
    challengers = [{"name": name} for name in ("full", "second", "third", "fourth")]
    orchard = orchard.changed(
        retrain={"keep_versions": 1}, retention=retention, training={"challengers": challengers}
    )
    grow(orchard, 0.5, 0.5, 0.5)
    scored = shadows(orchard)
    assert len(scored) > 10, "more than runs are kept"
    prune(orchard.context, now=datetime.now(UTC))
    versions = {one.version for one in orchard.registry.versions(orchard.name)}
    assert {one.version for one in scored if one.version is not None} <= versions
    shutil.rmtree(orchard.context.settings.home / "shadows")
    turn = grow(orchard, 0.5, first=40)[0]
    assert turn.evidence.notes == ()
    assert sorted(copies(orchard)) == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_one_that_mlflow_has_no_more_is_told_of_and_left_out(orchard: Orchard) -> None:
    from mlflow import MlflowClient

    grow(orchard, 0.5, 0.5)
    shutil.rmtree(copies(orchard)[2])
    client = MlflowClient(orchard.context.settings.mlflow_uri)
    second = next(one for one in shadows(orchard) if one.number == 2)
    client.delete_logged_model(second.model_uri.removeprefix("models:/"))
    turn = grow(orchard, 0.5, first=40)[0]
    assert len(turn.evidence.notes) == 1
    assert turn.evidence.notes[0].startswith("challenger 'blend' that was made at the end of period 2 cannot")
    assert "MLflow has it no more" in turn.evidence.notes[0]
    assert [one.made for one in turn.evidence.record.periods[-1].contests] == [1, 1]
    assert [one.number for one in periods(orchard)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_challengers_that_read_a_field_that_was_dropped_are_left_out(orchard: Orchard) -> None:
    grow(orchard, 0.5)
    fields = [{"name": "weight", "type": "number"}]
    less = orchard.changed(record={"fields": fields})
    less.take_in(150, edge=0.5, seed=50)
    turn = less.retrain()
    assert [note.rpartition(": ")[2] for note in turn.evidence.notes] == [
        "it reads field 'colour', which the configuration no longer has"
    ] * 2
    assert turn.decision.record is None
    assert [one.number for one in periods(less)] == [1, 2, 3]
    # The next one has a predecessor that can be asked.
    assert grow(less, 0.5, 0.5, first=60)[-1].evidence.record.periods[-1].contests != ()


@pytest.mark.slow
def test_a_class_that_was_added_is_one_that_shadows_do_not_answer(orchard: Orchard) -> None:
    grow(orchard, 0.5)
    target = orchard.context.use_case.target.model_dump() | {"classes": ["good", "poor", "rotten"]}
    more = orchard.changed(target=target)
    turn = grow(more, 0.5, first=50)[0]
    assert turn.evidence.notes == ()
    assert turn.evidence.record.periods[-1].contests != ()


@pytest.mark.slow
def test_nothing_is_kept_where_that_is_configured(orchard: Orchard) -> None:
    none = with_shadows(orchard, keep=0)
    turned = grow(none, 0.5, 0.45)
    assert [turn.decision.record for turn in turned] == [None, None]
    assert [one.number for one in periods(none)] == [1]


DRIFT = (0.5, 0.48, 0.46, 0.44, 0.42)


def test_a_gradual_drift_promotes_by_the_record_what_held_out_rows_do_not_prove(orchard: Orchard) -> None:
    turned = grow(orchard, *DRIFT)
    decisions = [turn.decision for turn in turned]
    place = [one.outcome for one in decisions].index("record_beats_production")
    promoted = decisions[place]
    assert turned[place].outcome == "promoted"
    assert promoted.record is not None
    assert promoted.record.lost > promoted.record.line == 0.008
    assert promoted.interval is not None
    assert promoted.interval.low < 0, "on its held-out rows alone it would have had to wait"
    assert orchard.registry.alias_version(orchard.name, "production") != 1


@pytest.mark.slow
def test_without_the_record_the_same_drift_waits(orchard: Orchard) -> None:
    waiting = with_shadows(orchard, keep=0)
    outcomes = [turn.decision.outcome for turn in grow(waiting, *DRIFT[:4])]
    assert "beats_production" not in outcomes


@pytest.mark.slow
def test_tries_are_counted_and_forgotten_with_a_promotion(orchard: Orchard) -> None:
    turned = grow(orchard, 0.5, 0.5)
    assert [turn.outcome for turn in turned] != ["promoted", "promoted"]
    assert [turn.evidence.tries for turn in turned] == [0, 1]
    assert tries(orchard, 1) == 2
    moved = grow(orchard, 0.2, 0.2, first=70)
    promoted = next(turn for turn in moved if turn.outcome == "promoted")
    assert tries(orchard, promoted.version) == len(moved) - 1 - moved.index(promoted)


@pytest.mark.slow
def test_the_same_try_on_the_same_rows_is_one_however_often_it_is_made(orchard: Orchard) -> None:
    grow(orchard, 0.5)
    assert tries(orchard, 1) == 1
    for _ in range(3):
        again = orchard.retrain()
        assert again.outcome != "promoted"
        assert not again.evidence.record.ends_now
    assert tries(orchard, 1) == 1
    assert [one.number for one in periods(orchard)] == [1, 2]


@pytest.mark.slow
def test_age_is_known_of_production_whose_copy_was_let_go_long_ago(orchard: Orchard) -> None:
    orchard = with_shadows(orchard, keep=2, cost=1.0)
    turn = grow(orchard, 0.5, 0.5, 0.5)[-1]
    assert [one.number for one in shadows(orchard)] == [3, 4]
    assert turn.evidence.standing.made == 1
    assert turn.decision.record is not None
    assert turn.decision.record.age == 3


@pytest.mark.slow
def test_a_challenger_that_is_made_otherwise_inherits_nothing(orchard: Orchard) -> None:
    grow(orchard, *DRIFT[:3])
    other = orchard.changed(model={"estimator": "catboost", "params": {"iterations": 1, "depth": 1}})
    turn = grow(other, DRIFT[3], first=80)[0]
    assert turn.decision.record is None
    assert turn.evidence.standing.recipe is None
    assert {one.name: one.weight for one in turn.trained["blend"].members}["full"] == 1.0


class Killed(Exception):
    """In place of the kill."""


@pytest.mark.slow
@pytest.mark.parametrize("step", WRITING)
def test_a_run_that_is_cut_off_leaves_a_period_whole_or_not_at_all(orchard: Orchard, step: str) -> None:
    def cut(reached: str) -> None:
        if reached == step:
            raise Killed

    orchard.take_in(150, edge=0.5, seed=2)
    with pytest.raises(Killed):
        orchard.retrain(before=cut)
    written = step == "act_on_verdict"
    assert [one.number for one in periods(orchard)] == ([1, 2] if written else [1])
    turn = orchard.retrain()
    assert turn.evidence.record.ends_now is not written
    stored = periods(orchard)
    assert [(one.number, one.evidence["rows"]) for one in stored] == [
        (1, stored[0].evidence["rows"]),
        (2, 150),
    ]
    assert sorted(copies(orchard)) == [1, 2]
    turn = grow(orchard, 0.5, first=90)[0]
    assert turn.evidence.notes == ()
    assert [one.number for one in periods(orchard)] == [1, 2, 3]


@pytest.mark.slow
def test_one_killed_between_the_period_and_its_copies_has_them_fetched(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_artifact: Path, _folder: Path) -> None:
        raise Killed

    orchard.take_in(150, edge=0.5, seed=2)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(shadow_steps, "keep_copy", killed)
        orchard.retrain()
    assert [one.number for one in periods(orchard)] == [1, 2]
    assert sorted(copies(orchard)) == [1]
    turn = grow(orchard, 0.5, first=90)[0]
    assert turn.evidence.notes == ()
    assert [one.version is None for one in turn.evidence.record.periods[-1].contests] == [True, False]


def test_a_second_attempt_of_the_step_writes_nothing_twice(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(*args: object) -> None:
        shadow_steps.keep_shadows(*args)  # type: ignore[arg-type]
        shadow_steps.keep_shadows(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(sequence, "keep_shadows", twice)
    turn = grow(orchard, 0.5)[0]
    assert turn.evidence.record.ends_now
    assert [one.number for one in periods(orchard)] == [1, 2]
    assert [one.number for one in shadows(orchard)] == [1, 2]
    assert sorted(copies(orchard)) == [1, 2]


@pytest.mark.slow
def test_a_run_that_was_taken_for_dead_writes_no_period(orchard: Orchard) -> None:
    def lose(step: str) -> None:
        if step == "keep_shadows":
            with orchard.context.connect() as conn:
                conn.execute("UPDATE run SET status = 'lost' WHERE status = 'running'")
                conn.commit()

    orchard.take_in(150, edge=0.5, seed=2)
    with pytest.raises(Fenced):
        orchard.retrain(before=lose)
    assert [one.number for one in periods(orchard)] == [1]
    assert sorted(copies(orchard)) == [1]
    with orchard.context.connect() as conn:
        assert lifecycle.mark_lost(conn, orchard.name) == []
    orchard.retrain()
    assert [one.number for one in periods(orchard)] == [1, 2]
