"""What has won is tried first: real retrains, a real database and a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from configs.schema import CanaryConfig
from flows.canary.looking import is_look_due, look
from flows.retrain.held_run import HeldRun
from models.canary.moves import agree_alias, begin_canary, end_canary
from models.canary.standing import canary_facts
from models.production import ledger, pausing
from models.production.rollback import roll_back
from store.errors import Fenced
from store.notices import begin_notices, events_without_notice
from tests.flows.retrain.turns import Orchard, open_orchard, replanted
from tests.mlflow_servers import Server

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)
TRIED = {"canary": {"share": 0.2, "labels": 100, "hours": 24}}


@pytest.fixture(scope="module")
def grown(
    mlflow_server: Server, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Orchard:
    """What `orchard` is a copy of."""
    return grow(mlflow_server, module_database_url, tmp_path_factory.mktemp("grown") / "home")


@pytest.fixture
def orchard(grown: Orchard, postgres: str, tmp_path: Path) -> Iterator[Orchard]:
    """With two versions, of which none may be deleted and to which none may be added."""
    with replanted(grown, postgres, tmp_path) as copy:
        yield copy


@pytest.fixture
def own(mlflow_server: Server, database_url: str, tmp_path: Path) -> Orchard:
    """The same, whose versions no other test has."""
    return grow(mlflow_server, database_url, tmp_path / "home")


def grow(server: Server, database_url: str, home: Path) -> Orchard:
    """Version 1 learned that apples above 0.5 are good, version 2 that those above 0.8 are, and is tried."""
    name = f"canary_{next(NUMBERS)}"
    made = open_orchard(name, home, database_url, server.uri, server.store).changed(serving=TRIED)
    made.take_in(300, edge=0.5)
    assert made.retrain().outcome == "promoted", "there is nothing to try the first model beside"
    made.take_in(600, edge=0.8, seed=2)
    result = made.retrain()
    assert (result.outcome, result.version) == ("canary", 2)
    return made


def aliases(orchard: Orchard) -> dict[str, int]:
    return orchard.registry.aliases(orchard.name)


def facts(orchard: Orchard) -> Any:
    with orchard.context.connect() as conn:
        return canary_facts(conn, orchard.name)


def newest(orchard: Orchard) -> ledger.Entry:
    with orchard.context.connect() as conn:
        return ledger.history(conn, orchard.name, 1)[0]


def test_what_has_won_is_tried_and_production_stays(orchard: Orchard) -> None:
    named = aliases(orchard)
    assert (named["production"], named["canary"], named["challenger"]) == (1, 2, 2)
    told = facts(orchard)
    assert (told.version, told.against, told.share, told.labels, told.most_labels) == (2, 1, 0.2, 0, 100)
    assert told.sentence.startswith(
        "version 2 answers 20% of the requests beside version 1, by the record's group, id or content, until "
    )
    entry = newest(orchard)
    assert (entry.event, entry.from_version, entry.to_version) == ("canary", 1, 2)
    assert entry.evidence["outcome"] == "beats_production"


def test_it_becomes_production_after_its_labels(orchard: Orchard) -> None:
    orchard.take_in(60, edge=0.8, seed=3)
    seen = look(orchard.context)
    assert seen is not None
    assert (seen.verdict, seen.labels, aliases(orchard)["production"]) == ("on_probation", 60, 1)
    assert not is_look_due(orchard.context)
    orchard.take_in(60, edge=0.8, seed=4)
    assert is_look_due(orchard.context)
    seen = look(orchard.context)
    assert seen is not None
    assert (seen.verdict, seen.labels) == ("passed", 100)
    named = aliases(orchard)
    assert (named["production"], named["previous"], "canary" in named) == (2, 1, False)
    entry = newest(orchard)
    assert (entry.event, entry.actor, entry.from_version, entry.to_version) == ("promoted", "canary", 1, 2)
    assert "was tried beside version 1 and becomes production; on 100 labels" in entry.reason
    assert entry.run_id is not None
    assert facts(orchard) is None
    assert look(orchard.context) is None


@pytest.mark.slow
def test_it_becomes_production_after_its_hours_without_a_label(own: Orchard) -> None:
    with own.context.connect() as conn:
        end_canary(conn, own.registry, own.name, actor="ann", reason="again, shorter")
        conn.commit()
    hasty = own.changed(serving={"canary": {"hours": 1e-9}})
    hasty.take_in(200, edge=0.8, seed=3)
    assert hasty.retrain().outcome == "canary"
    assert is_look_due(hasty.context)
    seen = look(hasty.context)
    assert seen is not None
    assert (seen.verdict, seen.labels, aliases(hasty)["production"]) == ("passed", 0, 3)


def test_one_that_labels_prove_worse_is_taken_back_and_does_not_return_on_them(own: Orchard) -> None:
    own.take_in(80, edge=0.5, seed=3)
    seen = look(own.context)
    assert seen is not None
    assert seen.verdict == "taken_back"
    named = aliases(own)
    assert (named["production"], "canary" in named) == (1, False)
    entry = newest(own)
    assert (entry.event, entry.actor, entry.from_version, entry.to_version) == (
        "canary_ended",
        "canary",
        2,
        1,
    )
    assert "version 2 was tried beside version 1 and taken back; on 80 labels" in entry.reason
    assert "no record has come since a version was taken back" in (own.why_skipped() or "")
    own.take_in(60, edge=0.5, seed=4)
    if own.why_skipped() is None:
        own.retrain()
    assert aliases(own)["production"] == 1
    assert aliases(own).get("canary") != 2


@pytest.mark.slow
def test_another_winner_waits(own: Orchard) -> None:
    own.take_in(400, edge=0.8, seed=3)
    result = own.retrain()
    assert result.outcome == "held_back"
    assert "version 2 of" in newest(own).reason
    assert "is tried as a canary, until" in newest(own).reason
    assert aliases(own)["canary"] == 2


def test_one_that_a_server_gave_up_is_taken_back_at_once(orchard: Orchard) -> None:
    look(orchard.context)
    assert not is_look_due(orchard.context)
    with orchard.context.connect() as conn:
        ledger.note_refused(conn, orchard.name, 2, "it hangs")
        conn.commit()
    assert is_look_due(orchard.context)
    seen = look(orchard.context)
    assert seen is not None
    assert seen.verdict == "taken_back"
    assert newest(orchard).reason.endswith("a server could not answer by it: it hangs")
    assert facts(orchard) is None


def test_nothing_moves_while_a_person_wants_production_to_stay(orchard: Orchard) -> None:
    with orchard.context.connect() as conn:
        begin_notices(conn, [orchard.name])
        pausing.pause(conn, orchard.name, actor="ann", reason="an audit")
    orchard.take_in(120, edge=0.8, seed=3)
    seen = look(orchard.context)
    assert seen is not None
    assert (seen.verdict, aliases(orchard)["production"]) == ("held", 1)
    assert "paused by ann: an audit" in facts(orchard).sentence
    assert facts(orchard).verdict == "held"
    with orchard.context.connect() as conn:
        told = events_without_notice(conn, orchard.name, "ann", ["canary", "probation"])
        assert [(one.event, one.kind, one.to_version) for one in told] == [("canary", "canary_held", 2)]
        pausing.resume(conn, orchard.name, actor="ann", reason="done")
    look(orchard.context)
    assert aliases(orchard)["production"] == 2


@pytest.mark.slow
def test_what_a_person_moves_ends_it(own: Orchard) -> None:
    own.take_in(400, edge=0.8, seed=3)
    assert own.retrain().version == 3
    with own.context.connect() as conn:
        roll_back(
            conn,
            own.registry,
            own.name,
            to=3,
            actor="ann",
            reason="mine",
            cache_dir=own.context.model_cache,
        )
    assert facts(own) is None
    assert look(own.context) is None
    assert (aliases(own)["production"], "canary" in aliases(own)) == (3, False)


def test_one_that_is_held_past_its_end_is_looked_at_when_something_has_changed(orchard: Orchard) -> None:
    hasty = CanaryConfig(share=0.2, hours=1e-9)
    with orchard.context.connect() as conn:
        end_canary(conn, orchard.registry, orchard.name, actor="ann", reason="again, shorter")
        begin_canary(
            conn, orchard.registry, orchard.name,
            version=2, against=1, config=hasty, actor="ann", reason="again", evidence={},
        )  # fmt: skip
        pausing.pause(conn, orchard.name, actor="ann", reason="an audit")
    seen = look(orchard.context)
    assert seen is not None
    assert seen.verdict == "held"
    assert not is_look_due(orchard.context), "not every few seconds"
    with orchard.context.connect() as conn:
        conn.execute("UPDATE probation SET looked_at = looked_at + interval '2 hours'")
    assert is_look_due(orchard.context), "the clock was set back since"
    with orchard.context.connect() as conn:
        conn.execute("UPDATE probation SET looked_at = looked_at - interval '2 hours'")
    with orchard.context.connect() as conn:
        pausing.resume(conn, orchard.name, actor="ann", reason="done")
    assert is_look_due(orchard.context)
    seen = look(orchard.context)
    assert (seen is not None and seen.verdict, aliases(orchard)["production"]) == ("passed", 2)


@pytest.mark.slow
def test_one_that_was_deleted_is_taken_back(own: Orchard) -> None:
    look(own.context)
    assert not is_look_due(own.context)
    MlflowClient(own.context.settings.mlflow_uri).delete_model_version(own.name, "2")
    assert is_look_due(own.context)
    seen = look(own.context)
    assert seen is not None
    assert (seen.verdict, seen.why) == (
        "taken_back",
        f"it does not work: model '{own.name}' has no version 2; `ratchet ledger {own.name}` tells which "
        "were registered",
    )
    assert facts(own) is None


def test_the_alias_follows_the_ledger(orchard: Orchard) -> None:
    orchard.registry.delete_alias(orchard.name, "canary")
    with orchard.context.connect() as conn:
        agree_alias(conn, orchard.registry, orchard.name)
        assert aliases(orchard)["canary"] == 2
        roll_back(
            conn, orchard.registry, orchard.name,
            to=2, actor="ann", reason="at once", cache_dir=orchard.context.model_cache,
        )  # fmt: skip
        assert "canary" not in aliases(orchard)
        orchard.registry.set_alias(orchard.name, "canary", 1)  # as a process that was killed leaves it
        agree_alias(conn, orchard.registry, orchard.name)
    assert "canary" not in aliases(orchard)


def test_who_was_taken_for_dead_has_nothing_tried(
    mlflow_server: Server, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"canary_{next(NUMBERS)}"
    made = open_orchard(name, tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store)
    made = made.changed(serving=TRIED)
    made.take_in(300, edge=0.5)
    made.retrain()
    made.take_in(600, edge=0.8, seed=2)

    def take_over(step: str) -> None:
        if step == "act_on_verdict":
            monkeypatch.setattr(HeldRun, "ensure_running", lambda _: None)  # which has not heard of it yet
            with made.context.connect() as conn:
                conn.execute("UPDATE run SET status = 'lost' WHERE use_case = %s", (name,))

    with pytest.raises(Fenced):
        made.retrain(before=take_over)
    assert facts(made) is None
    assert "canary" not in aliases(made)
