"""Artifacts that were damaged or replaced, and production that was deleted: nothing is promoted unjudged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from features.database import connect
from flows.evaluate import evaluate, export
from models import ledger
from models.errors import ArtifactDamaged, UnknownVersion
from models.vouching import damage_of
from tests.flows.turns import Orchard, flip_byte, open_orchard, replace_consistently
from tests.mlflow_servers import Server, running_mlflow

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_mlflow(postgres, tmp_path_factory.mktemp("mlflow"), "vouching") as started:
        yield started


@pytest.fixture
def orchard(server: Server, database_url: str, tmp_path: Path) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    name = f"apples_{next(NUMBERS)}"
    made = open_orchard(name, tmp_path / "home", database_url, server.uri, server.store)
    made.take_in(400, edge=0.5)
    assert made.retrain().outcome == "promoted"
    return made


def production(orchard: Orchard) -> int | None:
    return orchard.registry.alias_version(orchard.name, "production")


def answers(orchard: Orchard) -> dict[str, float]:
    settings = orchard.context.settings
    data = settings.home / "judged.csv"
    from tests.e2e.apples import write_apples

    return evaluate(settings, orchard.name, data=write_apples(data, 200, edge=0.5, seed=9)).metrics


def events(orchard: Orchard, event: str) -> list[ledger.Entry]:
    with orchard.context.connect() as conn:
        return [one for one in ledger.history(conn, orchard.name) if one.event == event]


def test_a_byte_flipped_in_the_copy_here_is_healed_and_production_judged(orchard: Orchard) -> None:
    flip_byte(orchard.kept(1) / "model.onnx")
    orchard.take_in(400, edge=0.5, seed=5, random_labels=True)
    turn = orchard.retrain()
    assert turn.outcome in ("rejected", "too_little_evidence")
    assert turn.decision.production is not None, "production was fetched again and judged"
    assert production(orchard) == 1
    assert events(orchard, "refused") == []


def test_a_byte_flipped_in_the_store_is_refused_by_name_and_random_labels_do_not_win(
    orchard: Orchard, tmp_path: Path
) -> None:
    flip_byte(orchard.stored(1) / "model.onnx")
    other = orchard.elsewhere(tmp_path / "other")
    other.take_in(400, edge=0.5, seed=5, random_labels=True)
    turn = other.retrain()
    assert turn.outcome in ("rejected", "too_little_evidence")
    assert turn.decision.outcome in ("below_majority", "majority_not_proven")
    assert production(orchard) == 1
    (refused,) = events(orchard, "refused")
    assert refused.to_version == 1
    assert "model.onnx" in refused.reason


def test_what_is_learned_may_replace_production_that_is_damaged_at_its_source(
    orchard: Orchard, tmp_path: Path
) -> None:
    flip_byte(orchard.stored(1) / "model.onnx")
    other = orchard.elsewhere(tmp_path / "other")
    other.take_in(400, edge=0.5, seed=5)
    turn = other.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("promoted", "beats_majority")
    assert turn.decision.majority is not None


def test_a_consistent_replacement_is_refused_at_every_door(orchard: Orchard, tmp_path: Path) -> None:
    orchard.take_in(600, edge=0.2, seed=3)
    assert orchard.retrain().outcome == "promoted"
    good, bad = tmp_path / "good", tmp_path / "bad"
    shutil.copytree(orchard.kept(2), good)
    shutil.copytree(orchard.kept(1), bad)
    before = answers(orchard)
    stored = orchard.stored(2)
    replace_consistently(stored, bad)
    other = orchard.elsewhere(tmp_path / "other")
    settings = other.context.settings
    for door in (
        lambda: evaluate(settings, other.name, version=2),
        lambda: export(settings, other.name, tmp_path / "exported", version=2),
    ):
        with pytest.raises(ArtifactDamaged, match=rf"version 2 of '{other.name}'.*ledger"):
            door()
    assert not (tmp_path / "exported").exists()
    other.take_in(400, edge=0.2, seed=5, random_labels=True)
    turn = other.retrain()
    assert turn.outcome != "promoted"
    assert turn.decision.outcome in ("below_majority", "majority_not_proven")
    assert production(orchard) == 2
    assert answers(orchard) == before, "of the whole copy that is kept here"
    replace_consistently(orchard.kept(2), bad)
    with pytest.raises(ArtifactDamaged):
        answers(orchard)
    assert len(events(orchard, "refused")) == 1, "once, however many find it"
    replace_consistently(stored, good)
    assert answers(orchard) == before
    with orchard.context.connect() as conn:
        assert damage_of(conn, orchard.name, 2) is None


def test_going_back_to_a_replaced_version_moves_nothing(orchard: Orchard, tmp_path: Path) -> None:
    orchard.take_in(600, edge=0.2, seed=3)
    assert orchard.retrain().outcome == "promoted"
    replace_consistently(orchard.stored(1), orchard.kept(2))
    other = orchard.elsewhere(tmp_path / "other")
    with pytest.raises(ArtifactDamaged, match="version 1"):
        other.roll_back()
    assert orchard.registry.aliases(orchard.name)["production"] == 2
    assert events(orchard, "rolled_back") == []
    orchard.roll_back()
    assert production(orchard) == 1, "with the good copy that is here"


def delete_alias(orchard: Orchard) -> None:
    orchard.registry.delete_alias(orchard.name, "production")


def delete_version(orchard: Orchard) -> None:
    from mlflow import MlflowClient

    MlflowClient(orchard.registry.tracking_uri, orchard.registry.tracking_uri).delete_model_version(
        orchard.name, "1"
    )


def delete_model(orchard: Orchard) -> None:
    from mlflow import MlflowClient

    MlflowClient(orchard.registry.tracking_uri, orchard.registry.tracking_uri).delete_registered_model(
        orchard.name
    )


DELETIONS = pytest.mark.parametrize("delete", [delete_alias, delete_version, delete_model])


@DELETIONS
def test_lost_production_is_judged_against_the_copy_here(
    orchard: Orchard, delete: Callable[[Orchard], None]
) -> None:
    delete(orchard)
    orchard.take_in(400, edge=0.5, seed=5, random_labels=True)
    turn = orchard.retrain()
    assert turn.outcome in ("rejected", "too_little_evidence")
    assert turn.decision.production is not None
    assert production(orchard) is None
    orchard.take_in(2000, edge=0.2, seed=7)
    better = orchard.retrain()
    assert better.outcome == "promoted"
    assert production(orchard) == better.version
    (newest, _) = events(orchard, "promoted")
    assert newest.from_version == 1


@pytest.mark.parametrize("delete", [delete_version, delete_model])
def test_lost_production_of_which_no_copy_is_left_holds_promotions_back(
    orchard: Orchard, tmp_path: Path, delete: Callable[[Orchard], None]
) -> None:
    delete(orchard)
    other = orchard.elsewhere(tmp_path / "other")
    other.take_in(600, edge=0.2, seed=5)
    turn = other.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("held_back", "production_gone")
    assert production(orchard) is None
    (held,) = events(orchard, "held_back")
    assert f"ratchet rollback {orchard.name} --to" in held.reason
    other.roll_back(to=turn.version)
    assert production(orchard) == turn.version
    with connect(other.context.database_url) as conn:
        assert ledger.last_move(conn, orchard.name).event == "rolled_back"  # type: ignore[union-attr]


def test_lost_production_without_its_alias_is_known_elsewhere_too(orchard: Orchard, tmp_path: Path) -> None:
    delete_alias(orchard)
    other = orchard.elsewhere(tmp_path / "other")
    other.take_in(400, edge=0.5, seed=5, random_labels=True)
    turn = other.retrain()
    assert turn.outcome in ("rejected", "too_little_evidence")
    assert turn.decision.production is not None


def test_a_deleted_version_cannot_be_had(orchard: Orchard, tmp_path: Path) -> None:
    delete_version(orchard)
    with pytest.raises(UnknownVersion):
        evaluate(orchard.elsewhere(tmp_path / "other").context.settings, orchard.name)
