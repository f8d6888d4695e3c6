"""Retrains and drift checks on a real MLflow and a real database, and what of them is left after a prune."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import mlflow
import psycopg
import pytest
from botocore.exceptions import ClientError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from configs.schema import RetentionConfig
from configs.settings import CHECKOUT
from flows import loop
from flows.retention import daily, history, mlflow_runs
from flows.retention.files import weigh
from flows.retention.pruning import prune
from flows.retrain.lineage import learned_by
from models.production.registry_rest import MlflowRest
from store.database.connection import tool_url
from store.database.locks import lock_session
from store.drift.checks import KeptPage, keep_page, last_page, record_check
from store.errors import SnapshotError
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.snapshots.restoring import open_snapshot
from tests.conftest import MLFLOW_DATABASE
from tests.flows.retrain.turns import Orchard
from tests.mlflow_servers import Server
from tests.store.moved.answers import in_tables, store_answers, stored

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With nothing learned yet, and little kept."""
    made = empty_orchard
    use_case = made.context.use_case
    changed = use_case.model_copy(
        update={
            "retention": RetentionConfig(snapshots=1, drift_pages=2, mlflow_runs=10),
            "retrain": use_case.retrain.model_copy(update={"keep_versions": 1}),
        }
    )
    return replace(made, context=replace(made.context, use_case=changed))


def pruned(orchard: Orchard, days: float = 0.0, *, dry_run: bool = False) -> Mapping[str, int]:
    removals = prune(orchard.context, now=datetime.now(UTC) + timedelta(days=days), dry_run=dry_run)
    assert removals is not None
    return {removal.what: removal.count for removal in removals}


def scoring(orchard: Orchard, keep: int) -> Orchard:
    """The same, where challengers of so many periods go on being scored."""
    gate = orchard.context.use_case.gate.model_dump()
    return orchard.changed(gate=gate | {"shadows": gate["shadows"] | {"keep": keep}})


def kept_snapshots(orchard: Orchard) -> set[str]:
    """Digests of the snapshots that are kept."""
    with orchard.context.connect() as conn:
        rows = conn.execute("SELECT digest FROM snapshot WHERE history IS NOT NULL").fetchall()
    return {digest for (digest,) in rows}


def log_page(orchard: Orchard, number: int) -> str:
    """A drift check with a page, as the flow keeps it."""
    mlflow.set_tracking_uri(orchard.context.settings.mlflow_uri)
    mlflow.set_experiment(f"{orchard.name}-drift")
    with mlflow.start_run() as run:
        mlflow.log_text(f"{number}" * 10_000, "drift.html")
    with orchard.context.connect() as conn:
        check = record_check(conn, orchard.name, verdict="drift", share=1.0, report={}, model_version=1)
        keep_page(conn, check, KeptPage(run.info.run_id, "digest"))
        conn.commit()
    return str(run.info.run_id)


def test_copies_of_challengers_go_that_are_scored_no_more(orchard: Orchard) -> None:
    for turn in range(2):
        orchard.take_in(200, edge=0.5, seed=turn)
        orchard.retrain()
    folder = orchard.context.settings.home / "shadows" / orchard.name
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    assert "copies of challengers" not in pruned(orchard)
    none = scoring(orchard, 0)
    assert pruned(none, dry_run=True)["copies of challengers"] == 2
    assert pruned(none)["copies of challengers"] == 2
    assert list(folder.iterdir()) == []


def test_versions_go_with_their_files_and_what_production_learned_from_stays(orchard: Orchard) -> None:
    orchard = scoring(orchard, 1)
    for turn in range(4):
        orchard.take_in(400, edge=0.5, seed=turn)
        orchard.retrain()
    versions = {one.version: one for one in orchard.registry.versions(orchard.name)}
    before, stored = kept_snapshots(orchard), weigh(orchard.store)
    assert len(before) == len(versions) == 4
    promised = pruned(orchard, dry_run=True)
    assert kept_snapshots(orchard) == before, "a dry run deletes nothing"
    done = pruned(orchard)
    assert promised["versions"] == done["versions"] > 0
    assert {one.version for one in orchard.registry.versions(orchard.name)} == set(versions) - set(
        range(1, 5)
    ) | {number for number, one in versions.items() if one.aliases or number == 4}
    left = orchard.registry.versions(orchard.name)
    needed = {one.tags["ratchet.snapshot"] for one in left}
    assert needed <= kept_snapshots(orchard)
    assert len(kept_snapshots(orchard)) <= len(needed) + 1 < len(before) + 1
    assert weigh(orchard.store) < stored
    assert {path.name for path in (orchard.context.model_cache / orchard.name).iterdir()} == {
        str(one.version) for one in left
    }
    with orchard.context.connect() as conn:
        for one in left:
            assert learned_by(
                conn, orchard.registry, one, orchard.context.use_case, orchard.context.settings.home
            ).last
    assert pruned(orchard) == {}, "all that is old has gone at once"


@pytest.mark.parametrize("deleted", ["model", "run", "both"])
def test_versions_go_of_which_something_was_deleted_by_hand(orchard: Orchard, deleted: str) -> None:
    orchard = scoring(orchard, 0)
    for turn in range(3):
        orchard.take_in(200, edge=0.5, seed=turn)
        orchard.retrain()
    versions = orchard.registry.versions(orchard.name)
    old = next(one for one in versions if not one.aliases and one.version != len(versions))
    client = mlflow.MlflowClient(orchard.context.settings.mlflow_uri)
    if deleted != "run":
        source = client.get_model_version(orchard.name, str(old.version)).source
        client.delete_logged_model(str(source).removeprefix("models:/"))
    if deleted != "model":
        client.delete_run(old.run_id)
    assert pruned(orchard)["versions"] >= 1
    assert old.version not in {one.version for one in orchard.registry.versions(orchard.name)}
    assert pruned(orchard) == {}


def test_with_nothing_old_the_registry_is_asked_once_for_all_versions(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchard.take_in(400, edge=0.5)
    orchard.retrain()
    asked: list[str] = []
    get = MlflowRest._get

    def counted(rest: MlflowRest, call: str, query: Mapping[str, str]) -> object:
        asked.append(call)
        return get(rest, call, query)

    monkeypatch.setattr(MlflowRest, "_get", counted)
    assert pruned(orchard) == {}
    assert sorted(asked) == [
        "experiments/get-by-name",
        "experiments/get-by-name",
        "model-versions/search",
        "registered-models/get",
    ]


def test_without_rows_that_are_gone_no_table_is_read(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchard.take_in(400, edge=0.5)
    orchard.retrain()
    read: list[str] = []
    monkeypatch.setattr(history, "_gone", lambda table, *_: read.append(table.uri))
    assert pruned(orchard) == {}
    assert read == []
    with orchard.context.connect() as conn:
        names = conn.execute("SELECT identity FROM feedback ORDER BY seq LIMIT 2").fetchall()
        selection = LabelSelection(tuple(name for (name,) in names))
        take_back(conn, orchard.name, selection, actor="ann", reason="wrong")
        conn.commit()
    orchard.take_in(400, edge=0.5, seed=2)
    orchard.retrain()
    pruned(orchard)
    assert read


def test_what_prunes_imports_nothing_slow() -> None:
    code = (
        "import sys, flows.retention.pruning\n"
        "slow = {'mlflow', 'prefect', 'pandas', 'scipy', 'sklearn', 'duckdb', 'pyarrow.dataset'}\n"
        "assert not slow & sys.modules.keys(), slow & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_snapshot_that_is_forgotten_says_so(orchard: Orchard) -> None:
    orchard = scoring(orchard, 1)
    for turn in range(3):
        orchard.take_in(400, edge=0.5, seed=turn)
        orchard.retrain()
    before = kept_snapshots(orchard)
    assert pruned(orchard)["snapshots"] >= 1
    context = orchard.context
    (gone, *_) = before - kept_snapshots(orchard)
    with context.connect() as conn, pytest.raises(SnapshotError, match=r"retention\.snapshots"):
        open_snapshot(conn, context.use_case, context.settings.home, gone)


def test_old_pages_and_runs_leave_mlflow_with_their_bytes(orchard: Orchard, mlflow_server: Server) -> None:
    before = weigh(mlflow_server.store)
    runs = [log_page(orchard, number) for number in range(5)]
    assert weigh(mlflow_server.store) >= before + 5 * 10_000
    folders = {run: next(mlflow_server.store.rglob(run)) for run in runs}
    assert pruned(orchard) == {"drift pages": 3}
    assert [weigh(folders[run]) >= 10_000 for run in runs] == [False, False, False, True, True]
    with orchard.context.connect() as conn:
        assert last_page(conn, orchard.name) == KeptPage(runs[-1], "digest")
        pages = conn.execute("SELECT mlflow_run FROM drift_check ORDER BY id").fetchall()
    assert [page for (page,) in pages] == [None, None, None, *runs[3:]], "the numbers stay"


@pytest.mark.parametrize(
    "fault",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "DeleteObjects"),
        MlflowException("not yours", error_code=PERMISSION_DENIED),
    ],
)
def test_files_of_mlflow_that_may_not_be_deleted_end_neither_worker_nor_run(
    orchard: Orchard, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    """Where MLflow is yours, this process may have to delete its files itself."""

    def denied(*_: object) -> None:
        raise fault

    for number in range(3):
        log_page(orchard, number)
    with pytest.MonkeyPatch.context() as patched, caplog.at_level("WARNING"):
        patched.setattr(mlflow_runs, "_delete_files", denied)
        patched.setattr(daily, "open_context", lambda *_args: orchard.context)
        daily.prune_one(orchard.context.settings, orchard.name)
        patched.setattr(loop, "get_run_logger", lambda: logging.getLogger("run"))
        patched.setattr(loop, "prune", prune)  # not as a task
        loop._tidy(orchard.context)
        patched.setattr(loop, "draw_pictures", denied)
        loop._draw(orchard.context, {})
    assert "MLflow has no pictures of this run" in caplog.text
    assert f"{orchard.name}: what is old stays for now" in caplog.text
    assert "what is old stays until the next run" in caplog.text
    assert caplog.text.count(str(fault)) >= 3
    assert pruned(orchard) == {"drift pages": 1}, "once it may"


def test_rows_of_deleted_runs_leave_our_own_mlflow(
    orchard: Orchard, mlflow_server: Server, postgres: str
) -> None:
    runs = [log_page(orchard, number) for number in range(3)]
    database = tool_url(postgres.rsplit("/", 1)[0] + f"/{MLFLOW_DATABASE}", "mlflow")
    client = mlflow.MlflowClient(mlflow_server.uri)
    (old,) = mlflow_runs.old_runs(client, f"{orchard.name}-drift", 2, ())
    assert old.info.run_id == runs[0]
    mlflow_runs.delete_run(client, mlflow_server.uri, old, mlflow_runs.make_forget(database))
    with psycopg.connect(database) as conn:
        left = {row[0] for row in conn.execute("SELECT run_uuid FROM runs WHERE run_uuid = ANY(%s)", (runs,))}
    assert left == set(runs[1:])


def test_files_of_the_inbox_and_of_killed_processes_go_when_they_are_old(orchard: Orchard) -> None:
    home = orchard.context.settings.home
    paths = [
        home / "inbox" / orchard.name / "done" / "read.csv",
        home / "inbox" / orchard.name / "refused" / "bad.csv",
        home / "inbox" / orchard.name / "waits.csv",
        home / "work" / str(uuid4()) / "drift.html",
        home / "work" / "serving" / "1234",
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert pruned(orchard, days=6) == {}
    assert pruned(orchard, days=31) == {"files of the inbox, done": 1, "left by killed processes": 1}
    assert [path.exists() for path in paths] == [False, True, True, False, True], "a service may run"
    assert pruned(orchard, days=181) == {"files of the inbox, refused": 1}
    assert paths[2].exists()


def test_old_predictions_move_into_a_table_and_go_from_there(orchard: Orchard) -> None:
    now = datetime.now(UTC)
    with orchard.context.connect() as conn:
        for days in (50, 40, 10):
            store_answers(conn, range(4), now - timedelta(days=days), record={}, use_case=orchard.name)
    assert pruned(orchard) == {}
    retention = {"prediction_days": 90, "prediction_database_days": 30}
    moving = orchard.changed(retention=retention)
    home = orchard.context.settings.home
    for dry_run in (True, False):
        told = pruned(moving, dry_run=dry_run)
        assert told == {"predictions in the database, now in a table": 8}
        assert len(in_tables(home, orchard.name)) == (0 if dry_run else 8)
    assert pruned(moving) == {}
    for dry_run in (True, False):
        told = pruned(moving, days=45, dry_run=dry_run)
        assert told["predictions in tables without a label"] == 4
    assert len(in_tables(home, orchard.name)) == 8
    with orchard.context.connect() as conn:
        assert stored(conn) == []


def test_a_table_that_cannot_be_read_is_told_and_the_day_after_is_another(
    orchard: Orchard, caplog: pytest.LogCaptureFixture
) -> None:
    with orchard.context.connect() as conn:
        store_answers(conn, range(4), datetime.now(UTC) - timedelta(days=40), use_case=orchard.name)
    _, *newer = [log_page(orchard, number) for number in range(3)]
    changes = {"prediction_database_days": 30.0, "drift_pages": 2}
    retention = orchard.context.use_case.retention.model_copy(update=changes)
    moving = replace(
        orchard.context, use_case=orchard.context.use_case.model_copy(update={"retention": retention})
    )
    folder = moving.settings.home / "predictions"
    folder.write_text("no folder")
    with pytest.MonkeyPatch.context() as patched, caplog.at_level("WARNING"):
        patched.setattr(daily, "open_context", lambda *_args: moving)
        daily.prune_one(moving.settings, orchard.name)
        patched.setattr(loop, "get_run_logger", lambda: logging.getLogger("run"))
        patched.setattr(loop, "prune", prune)  # not as a task
        loop._tidy(moving)  # the result of the run before it stands
    assert "what is old stays for now: the table of predictions at" in caplog.text
    assert "what is old stays until the next run: the table of predictions at" in caplog.text
    with orchard.context.connect() as conn:
        pages = conn.execute("SELECT mlflow_run FROM drift_check ORDER BY id").fetchall()
    assert [page for (page,) in pages] == [None, *newer], "what is no prediction goes all the same"
    folder.unlink()
    assert prune(moving, now=datetime.now(UTC)) is not None
    assert len(in_tables(moving.settings.home, orchard.name)) == 4


def test_two_do_not_prune_at_once(orchard: Orchard) -> None:
    with orchard.context.connect() as other:
        lock_session(other, "pruning", orchard.name)
        assert prune(orchard.context, now=datetime.now(UTC)) is None
    deadline = time.monotonic() + 10
    while (removals := prune(orchard.context, now=datetime.now(UTC))) is None:
        assert time.monotonic() < deadline
    assert removals == []
