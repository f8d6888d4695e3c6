"""A version is made again from its record: the same answers, or a sentence that says why not."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from flows.reproduce import differences, origin
from flows.reproduce.reproducing import Reproduction, reproduce
from flows.retention.snapshots import forget_snapshot
from flows.retrain.training import fitting
from models.errors import UnknownVersion
from models.provenance.fit_inputs import FIT
from models.provenance.surroundings import installed
from models.versions.artifact import file_digest, read_fit, read_manifest
from models.versions.writing import write_artifact
from tests.flows.reproduce.conftest import SAMPLE
from tests.flows.retrain.turns import Orchard

LOGISTIC = {"model": {"estimator": "logistic", "params": {}}}
TABLES = ("ledger", "run", "snapshot", "gate_period", "gate_shadow", "feedback", "notice")


def again(orchard: Orchard, version: int, **options: Any) -> Reproduction:
    return reproduce(orchard.context.settings, orchard.name, version, **options)


def largest(made: Reproduction) -> float:
    assert made.comparison is not None
    assert made.comparison.probe.rows == 16
    assert made.comparison.holdout.rows >= 100
    assert made.comparison.metrics.keys() >= {"accuracy", "f1_macro"}
    return made.comparison.largest


def all_there_is(orchard: Orchard) -> tuple[dict[str, str], list[int]]:
    """Digests of all files of the home, and how many rows each table has."""
    home = orchard.context.settings.home
    files = {str(path.relative_to(home)): file_digest(path) for path in home.rglob("*") if path.is_file()}
    with orchard.context.connect() as conn:
        counts = [conn.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES]
    return files, [one[0] for one in counts if one is not None]


def test_a_version_is_made_again_to_the_last_bit_and_nothing_else_is_made(grown: Orchard) -> None:
    before = all_there_is(grown)
    made = again(grown, 1)
    assert (made.outcome, largest(made), made.unrecorded, made.differences) == ("same", 0.0, (), ())
    assert made.made_of["sample_count"] == SAMPLE == made.made_of["rows"]
    assert all_there_is(grown) == before
    assert list((grown.context.settings.home / "work").iterdir()) == []


@pytest.mark.slow
def test_what_scikit_learn_fits_is_made_again(orchard: Orchard) -> None:
    orchard = orchard.changed(**LOGISTIC)
    orchard.take_in(400, edge=0.5)
    made = again(orchard, orchard.retrain().version)
    assert (made.outcome, largest(made), made.made_of["estimator"]) == ("same", 0.0, "logistic")


def test_what_a_challenger_fits_by_its_own_model_is_made_again(orchard: Orchard) -> None:
    plain = {"name": "plain", **LOGISTIC, "features": {"tabular": {"outliers": "clip"}}}
    orchard = orchard.changed(training={"challengers": [plain, {"name": "gentle", "fit": "warm"}]})
    orchard.take_in(400, edge=0.5)
    version = orchard.retrain().version
    manifest = read_manifest(orchard.kept(version))
    assert (manifest.challenger, manifest.estimator) == ("plain", "logistic")
    inputs = read_fit(orchard.kept(version))
    assert inputs is not None
    assert "skops" in inputs.surroundings.packages
    made = again(orchard, version)
    assert (made.outcome, largest(made), made.made_of["estimator"]) == ("same", 0.0, "logistic")
    orchard.take_in(400, edge=0.6, seed=2)
    # What production was made by cannot go on from it, so a training learns from all labels.
    trained = orchard.retrain(kind="train").trained
    assert {name: one.fit for name, one in trained.items()} == {"plain": "full"}


@pytest.mark.slow
def test_a_blend_is_made_again_with_the_windows_and_weights_that_it_had(orchard: Orchard) -> None:
    for turn in range(5):  # three periods before members differ, one to score them, one to weigh
        orchard.take_in(400, edge=0.5 + turn / 100, seed=turn)
        version = orchard.retrain().version
    manifest, inputs = read_manifest(orchard.kept(version)), read_fit(orchard.kept(version))
    assert inputs is not None
    assert len(inputs.period_ends) == 4
    assert [one.name for one in manifest.members if one.weight > 0] == ["full", "newest_3", "newest_1"], (
        inputs
    )
    orchard.take_in(400, edge=0.7, seed=10)
    orchard.retrain()  # what comes later changes nothing of it
    made = again(orchard, version)
    assert (made.outcome, largest(made)) == ("same", 0.0)


@pytest.mark.slow
def test_a_warm_start_from_a_warm_start_is_made_again(orchard: Orchard) -> None:
    versions = []
    for turn, kind in enumerate(("retrain", "train", "train")):
        orchard.take_in(400, edge=0.5 + turn / 10, seed=turn)
        versions.append(orchard.retrain(kind=kind).version)
    first, last = (read_manifest(orchard.kept(version)) for version in (versions[0], versions[-1]))
    assert (first.fit, last.fit, last.lineage.parent_version) == ("full", "warm", versions[1])
    made = again(orchard, versions[-1])
    assert (made.outcome, largest(made), made.made_of["continued_from"]) == ("same", 0.0, versions[1])
    orchard.registry.delete(orchard.registry.version(orchard.name, versions[1]))
    assert again(orchard, versions[-1]).outcome == "same"  # of the copy that is kept
    shutil.rmtree(orchard.kept(versions[1]))
    made = again(orchard, versions[-1])
    assert made.outcome == "impossible"
    assert made.reason == (
        f"version {versions[1]}, from which it continued, is gone: MLflow has it no more, and no copy is "
        "kept here"
    )


@pytest.mark.slow
def test_an_older_version_is_made_again_by_what_the_store_tells(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_as_before(*args: Any, inputs: object, **more: Any) -> Any:  # noqa: ARG001
        return write_artifact(*args, **more)

    monkeypatch.setattr(fitting, "write_artifact", write_as_before)
    for turn in range(3):
        orchard.take_in(400, edge=0.5 + turn / 100, seed=turn)
        version = orchard.retrain().version
    assert not (orchard.kept(version) / FIT).exists()
    assert len(read_manifest(orchard.kept(version)).members) > 1
    made = again(orchard, version)
    assert (made.outcome, largest(made), made.unrecorded) == ("same", 0.0, origin.OLDER)
    with orchard.context.connect() as conn:
        conn.execute("DELETE FROM run WHERE use_case = %s", (orchard.name,))
    assert "is not in the database any more" in again(orchard, version).unrecorded[-1]


@pytest.mark.slow
def test_what_it_learned_from_may_be_pruned(orchard: Orchard) -> None:
    orchard.take_in(400, edge=0.5)
    version = orchard.retrain().version
    digest = read_manifest(orchard.kept(version)).lineage.snapshot_digest
    assert digest is not None
    shutil.rmtree(orchard.context.settings.home / "history" / orchard.name)
    assert again(orchard, version).outcome == "same"  # of the rows in the database
    with orchard.context.connect() as conn:
        forget_snapshot(conn, orchard.context, digest)
    made = again(orchard, version)
    assert (made.outcome, made.comparison) == ("impossible", None)
    assert "retention.snapshots" in made.reason


def test_other_packages_are_named(grown: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(names: tuple[str, ...]) -> Mapping[str, str]:
        assert {"catboost", "mlflow", "numpy", "onnxruntime", "pyarrow"} <= set(names)
        here = {name: number for name, number in installed(names).items() if name != "mlflow"}
        return {**here, "catboost": "9"}

    monkeypatch.setattr(differences, "installed", other)
    told = {one.what: one.now for one in again(grown, 1).differences}
    assert told == {"package catboost": "9", "package mlflow": None}


def test_rows_that_are_others_are_not_fitted(grown: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = read_fit(grown.kept(1))
    assert inputs is not None
    fewer = inputs.model_copy(update={"sample_count": 80})
    monkeypatch.setattr(origin, "read_fit", lambda _: fewer)
    made = again(grown, 1)
    reason = f"its fit was handed {SAMPLE} rows, and the record leads to 80 that are others"
    assert (made.outcome, made.reason) == ("impossible", reason)
    monkeypatch.setattr(origin, "read_fit", lambda _: fewer.model_copy(update={"rows_digest": None}))
    made = again(grown, 1)
    reason = f"it learned from {SAMPLE} rows, made again from 80"
    assert (made.outcome, made.reason) == ("differs", reason)


def test_another_fit_is_seen(grown: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = grown.context.use_case
    params = {**use_case.model.params, "iterations": 21}
    other = read_manifest(grown.kept(1)).model_copy(update={"params": params})
    monkeypatch.setattr(origin, "read_manifest", lambda _: other)
    made = again(grown, 1)
    assert made.outcome == "differs"
    assert largest(made) > 1e-3
    assert made.reason.endswith("tolerated are 1e-06")
    assert again(grown, 1, tolerance=1.0).outcome == "same"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_leave_nothing(grown: Orchard, number: int) -> None:
    work = grown.context.settings.home / "work"

    def press(said: Mapping[str, Any]) -> None:
        assert len(list(work.iterdir())) == 1
        if said.get("epoch") == 3:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        again(grown, 1, on_progress=press)
    assert list(work.iterdir()) == []
    assert signal.getsignal(number) is handler


def test_a_number_that_no_version_has_is_wrong(grown: Orchard) -> None:
    with pytest.raises(UnknownVersion, match="has no version 7"):
        again(grown, 7)
