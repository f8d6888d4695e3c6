"""Promoted versions beside the ones before them: real retrains, a real database and a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from flows.probation import looking
from flows.probation.looking import is_look_due, look
from flows.retrain.production import find_production
from models.probation.shown import probation_facts
from models.production import ledger, pausing
from store.ingest.files import ingest_file
from store.sources.holding import tell_source
from tests.e2e.apples import write_apples
from tests.flows.retrain.turns import Orchard, open_orchard, replanted
from tests.mlflow_servers import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def grown(
    mlflow_server: Server, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Orchard:
    """What `orchard` is a copy of."""
    home = tmp_path_factory.mktemp("grown") / "home"
    return grow(
        open_orchard("watched_orchard", home, module_database_url, mlflow_server.uri, mlflow_server.store)
    )


@pytest.fixture
def orchard(grown: Orchard, postgres: str, tmp_path: Path) -> Iterator[Orchard]:
    """With two versions, of which none may be deleted and to which none may be added."""
    with replanted(grown, postgres, tmp_path) as copy:
        yield copy


@pytest.fixture
def own(empty_orchard: Orchard) -> Orchard:
    """The same, whose versions no other test has."""
    return grow(empty_orchard)


def grow(made: Orchard) -> Orchard:
    """Version 1 learned that apples above 0.5 are good, version 2 that those above 0.8 are."""
    made.take_in(300, edge=0.5)
    assert made.retrain().outcome == "promoted"
    made.take_in(600, edge=0.8, seed=2)
    assert made.retrain().version == 2
    assert production(made) == 2
    return made


def production(orchard: Orchard) -> int | None:
    return orchard.registry.alias_version(orchard.name, "production")


def facts(orchard: Orchard) -> Any:
    with orchard.context.connect() as conn:
        return probation_facts(conn, orchard.context.use_case)


def moves(orchard: Orchard) -> list[ledger.Entry]:
    with orchard.context.connect() as conn:
        return [one for one in ledger.history(conn, orchard.name) if one.event in ledger.MOVES]


def delete_version(orchard: Orchard, version: int) -> None:
    client = MlflowClient(orchard.registry.tracking_uri, orchard.registry.tracking_uri)
    client.delete_model_version(orchard.name, str(version))


def say(orchard: Orchard, who: str, rows: int, *, edge: float, seed: int) -> None:
    """A file whose rows name who says their labels."""
    path = orchard.context.settings.home / f"{who}.csv"
    head, *lines = write_apples(path, rows, edge=edge, seed=seed).read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([f"{head},who", *(f"{line},{who}" for line in lines)]) + "\n", encoding="utf-8")
    with orchard.context.connect() as conn:
        ingest_file(conn, orchard.context.use_case, path)


@pytest.mark.slow
def test_before_anything_is_looked_at_it_is_said_what_is_watched(orchard: Orchard) -> None:
    told = facts(orchard)
    assert told is not None
    assert (told["verdict"], told["version"], told["before"]) == ("on_probation", 2, 1)
    assert told["sentence"] == "version 2 is watched beside version 1"


def test_a_version_that_the_world_has_left_is_taken_back_once(orchard: Orchard) -> None:
    orchard.take_in(120, edge=0.5, seed=3)
    seen = look(orchard.context)
    assert seen is not None
    assert seen.verdict == "taken_back"
    assert seen.labels == 120
    assert seen.lost == pytest.approx(0.3, abs=0.1)
    assert production(orchard) == 1
    move = moves(orchard)[0]
    assert (move.event, move.actor, move.from_version, move.to_version) == ("rolled_back", "probation", 2, 1)
    assert move.reason.startswith("version 2 was taken back, as it is worse than version 1; on 120 labels")
    told = facts(orchard)
    assert told is not None
    assert told["sentence"] == move.reason
    assert look(orchard.context) is None
    assert len(moves(orchard)) == 3


def test_what_was_taken_back_does_not_return_on_the_labels_that_had_promoted_it(own: Orchard) -> None:
    own.take_in(120, edge=0.5, seed=3)
    look(own.context)
    for seed in (4, 5, 6):
        own.take_in(60, edge=0.5, seed=seed)
        if own.why_skipped() is None:
            own.retrain()
        look(own.context)
        assert own.registry.alias_version(own.name, "production") != 2
    assert [one.event for one in moves(own)].count("rolled_back") == 1


def test_an_equal_version_passes(orchard: Orchard) -> None:
    watched = orchard.changed(probation={"labels": 100})
    orchard.take_in(60, edge=0.8, seed=3)
    seen = look(watched.context)
    assert seen is not None
    assert (seen.verdict, seen.labels) == ("on_probation", 60)
    assert not is_look_due(watched.context)
    orchard.take_in(60, edge=0.8, seed=4)
    assert is_look_due(watched.context)
    seen = look(watched.context)
    assert seen is not None
    assert (seen.verdict, seen.labels) == ("passed", 100)
    orchard.take_in(300, edge=0.5, seed=5)
    assert look(watched.context) is None
    assert production(orchard) == 2


def test_where_it_is_configured_people_are_only_told(orchard: Orchard) -> None:
    orchard.take_in(120, edge=0.5, seed=3)
    seen = look(orchard.changed(probation={"action": "tell"}).context)
    assert seen is not None
    assert seen.verdict == "worse"
    assert production(orchard) == 2
    assert facts(orchard)["sentence"].startswith("version 2 is worse than version 1; on 120 labels")


def test_nothing_moves_while_a_person_wants_production_to_stay(orchard: Orchard) -> None:
    with orchard.context.connect() as conn:
        pausing.pause(conn, orchard.name, actor="ann", reason="an audit")
    orchard.take_in(120, edge=0.5, seed=3)
    seen = look(orchard.context)
    assert seen is not None
    assert (seen.verdict, production(orchard)) == ("held", 2)
    assert "paused by ann: an audit" in seen.sentence
    with orchard.context.connect() as conn:
        pausing.resume(conn, orchard.name, actor="ann", reason="done")
    seen = look(orchard.context)
    assert seen is not None
    assert (seen.verdict, production(orchard)) == ("taken_back", 1)


def test_a_persons_rollback_meanwhile_is_respected(orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    orchard.take_in(120, edge=0.5, seed=3)
    weigh = looking._weigh

    def weigh_while_a_person_goes_back(*args: Any) -> Any:
        orchard.roll_back()
        return weigh(*args)

    monkeypatch.setattr(looking, "_weigh", weigh_while_a_person_goes_back)
    seen = look(orchard.context)
    assert seen is not None
    assert seen.verdict == "worse"
    assert production(orchard) == 1
    assert next(one.actor for one in moves(orchard)) == "ann"
    assert facts(orchard) is None, "what a person has gone back to is not watched"
    assert look(orchard.context) is None


def test_a_look_that_is_killed_after_the_move_is_told_from_the_ledger(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchard.take_in(120, edge=0.5, seed=3)

    def die(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(looking, "keep_probation", die)
        with pytest.raises(KeyboardInterrupt):
            look(orchard.context)
    assert production(orchard) == 1
    assert look(orchard.context) is None
    assert facts(orchard)["verdict"] == "taken_back"


def test_without_the_version_before_nothing_is_compared(own: Orchard) -> None:
    delete_version(own, 1)
    own.take_in(120, edge=0.5, seed=3)
    seen = look(own.context)
    assert seen is not None
    assert seen.verdict == "not_compared"
    assert "version 1" in str(seen.why)
    assert not is_look_due(own.context)
    assert production(own) == 2


def test_labels_that_are_corrected_count_as_they_are_now(orchard: Orchard) -> None:
    orchard.take_in(120, edge=0.5, seed=3)
    watched = orchard.changed(probation={"action": "tell"})
    assert look(watched.context).verdict == "worse"  # type: ignore[union-attr]
    with orchard.context.connect() as conn:
        conn.execute(
            "UPDATE feedback SET label = CASE WHEN (record->>'weight')::float > 0.8 THEN 'good'"
            " ELSE 'poor' END WHERE use_case = %s",
            (orchard.name,),
        )
        conn.commit()
    seen = look(watched.context)
    assert seen is not None
    assert (seen.verdict, seen.worse) == ("on_probation", 0)


@pytest.mark.slow
def test_one_source_alone_takes_nothing_back(empty_orchard: Orchard) -> None:
    """A newcomer sends labels of a world that was: alone, and then against what the shop says."""
    made = empty_orchard
    made = made.changed(record=made.context.use_case.record.model_dump() | {"source_column": "who"})
    say(made, "shop", 300, edge=0.5, seed=1)
    assert made.retrain().outcome == "promoted"
    say(made, "shop", 600, edge=0.8, seed=2)
    assert (made.retrain().version, production(made)) == (2, 2)
    say(made, "stranger", 200, edge=0.5, seed=3)
    seen = look(made.context)
    assert seen is not None
    assert (seen.verdict, production(made)) == ("held", 2)
    assert "rests on one source, 'file/stranger'" in seen.sentence
    say(made, "shop", 20, edge=0.8, seed=4)
    seen = look(made.context)
    assert seen is not None
    assert (seen.verdict, production(made)) == ("held", 2)
    assert "by the labels of the others it is better" in seen.sentence
    with made.context.connect() as conn:
        tell_source(conn, made.context.use_case, "file/stranger", "release", "ann")
    look(made.context)
    assert production(made) == 1, "a person has looked"


@pytest.mark.slow
def test_nothing_flaps_in_twenty_rounds(own: Orchard) -> None:
    """The world goes back, and stays there; each round brings 40 labels, a look and a retrain."""
    for round_number in range(20):
        own.take_in(40, edge=0.5, seed=100 + round_number)
        look(own.context)
        if own.why_skipped() is None:
            own.retrain()
        look(own.context)
    assert [one.event for one in moves(own)].count("rolled_back") <= 1
    assert production(own) != 2
    columns = {"weight": np.linspace(0.02, 0.98, 97), "colour": np.array(["red"] * 97, dtype=object)}
    predictor = find_production(own.context).predictor
    assert predictor is not None
    answers = np.array(predictor.predict(columns).labels, dtype=object)
    truth = np.where(columns["weight"] > 0.5, "good", "poor")
    assert float((answers == truth).mean()) > 0.9
