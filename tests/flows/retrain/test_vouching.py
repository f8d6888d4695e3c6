"""Artifacts that were damaged or replaced, and production that was deleted: nothing is promoted unjudged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.batch.evaluate import evaluate, export
from flows.batch.version_lookup import find_vouched
from flows.drift.checking import check_use_case
from flows.retention.versions import prune_versions
from flows.retrain.production import find_production
from flows.stack.first_models import ensure_first_models, without_production
from models.errors import ArtifactDamaged, ProbeError, UnknownVersion
from models.production import ledger
from models.production.artifact_digests import damage_of, registered_digests
from models.production.contract import RegistryReader
from models.production.registry_rest import MlflowRest
from models.retraining.backlog import decide, read_production, standing
from models.versions.artifact import artifact_digest
from models.versions.predictor import Predictor
from store.database.connection import connect
from store.errors import SnapshotError
from store.snapshots.restoring import open_snapshot
from tests.e2e.apples import write_apples
from tests.flows.retrain.turns import Orchard, flip_byte, replace_consistently

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    made = empty_orchard
    made.take_in(400, edge=0.5)
    assert made.retrain().outcome == "promoted"
    return made


def production(orchard: Orchard) -> int | None:
    return orchard.registry.alias_version(orchard.name, "production")


def answers(orchard: Orchard) -> dict[str, float]:
    settings = orchard.context.settings
    data = settings.home / "judged.csv"
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


@pytest.mark.slow
def test_production_that_is_whole_and_does_not_work_here_is_not_replaced_unjudged(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Predictor.check_probe

    def fail_for_production(predictor: Predictor) -> None:
        if predictor.manifest.lineage.parent_version is None:
            raise ProbeError("answers differ, as with other packages")
        check(predictor)

    monkeypatch.setattr(Predictor, "check_probe", fail_for_production)
    orchard.take_in(400, edge=0.5, seed=5)
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("held_back", "production_gone")
    assert "does not work on this machine: the loaded model fails its probe" in turn.decision.reason
    monkeypatch.undo()
    assert production(orchard) == 1
    assert events(orchard, "refused") == []


@pytest.mark.slow
def test_production_that_a_newer_ratchet_made_is_neither_damaged_nor_replaced(orchard: Orchard) -> None:
    manifest = orchard.kept(1) / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**content, "format": 99}), encoding="utf-8")
    with orchard.context.connect() as conn:
        digest = artifact_digest(orchard.kept(1))
        ledger.record(
            conn, orchard.name, "registered", actor="test", reason="made by a newer one",
            to_version=1, evidence={"digest": digest},
        )  # fmt: skip
    orchard.take_in(400, edge=0.5, seed=5)
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("held_back", "production_gone")
    assert "made by a newer Ratchet" in turn.decision.reason
    assert manifest.exists(), "the copy is kept for who can read it"


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
    for policy in (
        lambda: evaluate(settings, other.name, version=2),
        lambda: export(settings, other.name, tmp_path / "exported", version=2),
    ):
        with pytest.raises(ArtifactDamaged, match=rf"version 2 of '{other.name}'.*ledger"):
            policy()
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


@pytest.mark.slow
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


DELETED_MODEL = pytest.param(delete_model, marks=pytest.mark.slow)  # all versions go, as one does
DELETIONS = pytest.mark.parametrize(
    "delete", [pytest.param(delete_alias, marks=pytest.mark.slow), delete_version, DELETED_MODEL]
)


@DELETIONS
def test_lost_production_is_judged_against_the_copy_here(
    orchard: Orchard, delete: Callable[[Orchard], None]
) -> None:
    delete(orchard)
    is_deleted = "but was deleted in MLflow" in str(find_production(orchard.context).problem)
    assert is_deleted is (delete is not delete_alias)
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


@pytest.mark.slow
@pytest.mark.parametrize("delete", [delete_version, DELETED_MODEL])
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


@pytest.mark.slow
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


@DELETIONS
def test_lost_production_is_no_first_model(orchard: Orchard, delete: Callable[[Orchard], None]) -> None:
    settings = orchard.context.settings
    delete(orchard)
    assert without_production(settings) == []
    assert ensure_first_models(settings) == {}
    with orchard.context.connect() as conn:
        facts = read_production(conn, orchard.registry, orchard.name)
        assert facts is not None
        assert (facts.version, facts.snapshot is not None) == (1, True)
        assert f"ratchet rollback {orchard.name} --to V" in str(facts.problem)
        decision = decide(conn, orchard.context.use_case, standing(conn, orchard.name, facts))
    assert decision.trigger != "first_model"


def test_an_untrained_use_case_still_gets_its_first_model(orchard: Orchard, database_url: str) -> None:
    with connect(database_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
        conn.execute("DELETE FROM ledger")
    delete_model(orchard)
    assert without_production(orchard.context.settings) == [orchard.name]


@pytest.mark.slow
def test_a_model_made_anew_takes_no_number_that_was_given(orchard: Orchard) -> None:
    first = artifact_digest(orchard.kept(1))
    delete_model(orchard)
    orchard.take_in(2000, edge=0.2, seed=7)
    again = orchard.retrain()
    assert (again.outcome, again.version, production(orchard)) == ("promoted", 2, 2)
    assert artifact_digest(orchard.kept(1)) == first
    with orchard.context.connect() as conn:
        assert registered_digests(conn, orchard.name, 1) == [first]
        assert registered_digests(conn, orchard.name, 2) == [artifact_digest(orchard.kept(2))]
    orchard.take_in(400, edge=0.2, seed=8, random_labels=True)
    turn = orchard.retrain()
    assert turn.outcome in ("rejected", "too_little_evidence")
    assert turn.decision.production is not None


def test_a_version_of_an_earlier_ratchet_is_taken_as_found_and_held_to_it(
    orchard: Orchard, database_url: str, tmp_path: Path
) -> None:
    with connect(database_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
        conn.execute("DELETE FROM ledger WHERE event = 'registered'")
        conn.execute("ALTER TABLE ledger ENABLE TRIGGER USER")
        conn.execute("UPDATE snapshot SET contents = NULL")
    orchard.take_in(2000, edge=0.2, seed=7)
    assert orchard.retrain().outcome == "promoted"
    (_, found) = events(orchard, "registered")
    assert (found.to_version, found.evidence) == (1, {"digest": artifact_digest(orchard.kept(1))})
    assert "as it was found" in found.reason
    replace_consistently(orchard.stored(1), orchard.kept(2))
    with pytest.raises(ArtifactDamaged, match="version 1"):
        find_vouched(orchard.elsewhere(tmp_path / "other").context.settings, orchard.name, 1)


@pytest.mark.parametrize("spoil", [flip_byte, pytest.param(Path.unlink, marks=pytest.mark.slow)])
def test_a_damaged_snapshot_keeps_no_retrain_and_no_drift_check_from_going_on(
    orchard: Orchard, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    context = orchard.context

    def files() -> list[Path]:
        return sorted((context.settings.home / "history" / orchard.name).rglob("*.parquet"))

    def names() -> list[str]:
        with context.connect() as conn:
            row = conn.execute("SELECT digest FROM snapshot").fetchone()
            assert row is not None
            frame = open_snapshot(conn, context.use_case, context.settings.home, row[0])
        return [str(name) for name in frame.identities]

    before = names()
    for damaged in files():
        spoil(damaged)
    report = check_use_case(context, tmp_path)
    assert report is not None
    assert names() == before
    for damaged in files():
        spoil(damaged)
    orchard.take_in(2000, edge=0.2, seed=7)
    assert orchard.retrain().outcome == "promoted"
    for damaged in files():
        spoil(damaged)
    assert orchard.retrain().decision.production is not None
    assert evaluate(orchard.context.settings, orchard.name).source == "holdout"


@pytest.mark.slow
def test_a_snapshot_that_cannot_be_made_again_counts_as_learned_from(
    orchard: Orchard, database_url: str, tmp_path: Path
) -> None:
    with connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE snapshot SET history = NULL")
        names = [name for (name,) in conn.execute("SELECT identity FROM feedback")]
    found = find_production(orchard.context)
    assert found.learned.holds(names).sum() == 400
    assert found.original_holdout == frozenset()
    report = check_use_case(orchard.context, tmp_path)
    assert report is not None
    assert report.decision.reference_rows == 400
    with pytest.raises(SnapshotError, match="is older than those that are kept"):
        evaluate(orchard.context.settings, orchard.name)
    orchard.take_in(2000, edge=0.2, seed=7)
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.rows) == ("promoted", 400)


def test_drift_is_checked_against_production_that_lost_its_alias(orchard: Orchard, tmp_path: Path) -> None:
    delete_alias(orchard)
    report = check_use_case(orchard.context, tmp_path)
    assert report is not None
    assert report.model_version == 1


def test_files_that_are_gone_from_the_store_are_damage_and_no_outage(
    orchard: Orchard, tmp_path: Path
) -> None:
    shutil.rmtree(orchard.stored(1))
    other = orchard.elsewhere(tmp_path / "other")
    for registry in (orchard.registry, MlflowRest(orchard.registry.tracking_uri)):
        with pytest.raises(ArtifactDamaged, match="version 1"):
            registry.download(orchard.name, 1, other.context.model_cache)
        with pytest.raises(UnknownVersion):
            registry.download(orchard.name, 9, other.context.model_cache)


def test_a_file_that_was_added_to_the_store_is_left_there(orchard: Orchard, tmp_path: Path) -> None:
    (orchard.stored(1) / "native" / "more.py").write_text("print('never')")
    registries: list[RegistryReader] = [orchard.registry, MlflowRest(orchard.registry.tracking_uri)]
    for number, registry in enumerate(registries):
        folder = registry.download(orchard.name, 1, tmp_path / str(number))
        assert not (folder / "native" / "more.py").exists()
        assert artifact_digest(folder) == artifact_digest(orchard.kept(1))


@pytest.mark.slow
def test_production_that_lost_its_alias_is_not_pruned(orchard: Orchard) -> None:
    for edge, seed in ((0.2, 7), (0.2, 8), (0.2, 9)):
        orchard.take_in(400, edge=edge, seed=seed)
        orchard.retrain()
    retraining = orchard.context.use_case.retrain.model_copy(update={"keep_versions": 1})
    gate = orchard.context.use_case.gate
    gate = gate.model_copy(update={"shadows": gate.shadows.model_copy(update={"keep": 0})})
    use_case = orchard.context.use_case.model_copy(update={"retrain": retraining, "gate": gate})
    serving = production(orchard)
    assert serving is not None
    for alias in orchard.registry.aliases(orchard.name):
        orchard.registry.delete_alias(orchard.name, alias)  # type: ignore[arg-type]
    gone = prune_versions(replace(orchard.context, use_case=use_case))
    assert gone == [version for version in (1, 2, 3) if version != serving]
    assert find_production(orchard.context).number == serving
