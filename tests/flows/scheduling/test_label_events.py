"""Every N labels: due once, told from the tables alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from configs.schema import (
    FieldConfig,
    ModelConfig,
    RecordConfig,
    RetrainConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from configs.settings import Settings, read_settings
from flows.scheduling import dispatching
from flows.scheduling.deployments import deployments
from models.errors import RegistryUnavailable
from models.production.contract import Alias, Version
from models.production.registry import Registry
from models.production.tags import SNAPSHOT_TAG
from store.database.connection import connect
from store.feedback.insertion import LABELS_CHANNEL, FeedbackBatch, add_feedback
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import queued_run, waiting_runs
from store.snapshots.learned import NOTHING_LEARNED
from store.splits.taking import take_snapshot

NAME = "apples"
USE_CASE = UseCase(
    name=NAME,
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    training=TrainingConfig(min_rows=30),
    retrain=RetrainConfig(min_labels=5, every_labels=10, max_age_days=None),
)
WEIGHTLESS = USE_CASE.model_copy(
    update={"record": RecordConfig(fields=(FieldConfig(name="weight", type="number", nullable=True),))}
)
Due = Callable[[], list[str]]


class FirstInProduction(Registry):
    """Version 1, which has learned from no label at all."""

    away = False

    def alias_version(self, use_case: str, alias: Alias) -> int | None:
        assert (use_case, alias) == (NAME, "production")
        if self.away:
            raise RegistryUnavailable("memory", "away")
        return 1

    def version(self, use_case: str, version: int) -> Version:
        made = int(datetime.now(UTC).timestamp() * 1000)
        return Version(use_case, version, "", {SNAPSHOT_TAG: "rows"}, (), made)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})


@pytest.fixture
def due(settings: Settings, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Due:
    """Asks where labels are due, with version 1 in production."""
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq)"
        " VALUES ('rows', %s, '', 60, 60, 0, 0, 0)",
        (NAME,),
    )
    registry = FirstInProduction("memory:")
    monkeypatch.setattr(dispatching, "open_registry", lambda _uri: registry)
    return lambda: dispatching.request_due_runs(settings, {NAME: USE_CASE})


def label(conn: psycopg.Connection, start: int, count: int) -> None:
    names = [f"i:{number}" for number in range(start, start + count)]
    add_feedback(conn, NAME, FeedbackBatch(names, ["{}"] * count, ["good"] * count, "test"))


def end(conn: psycopg.Connection, status: str) -> None:
    run = queued_run(conn, NAME)
    assert run is not None
    token = lifecycle.start_run(conn, run.id)
    lifecycle.finish_run(conn, run.id, token, status)


def test_a_run_is_asked_for_when_the_labels_are_there_and_only_once(
    conn: psycopg.Connection, due: Due
) -> None:
    label(conn, 0, 59)
    end_first_run(conn)
    label(conn, 100, 9)
    assert due() == []
    label(conn, 200, 1)
    assert due() == [NAME]
    (run,) = waiting_runs(conn, [NAME])
    assert (run.trigger, run.kind, run.runner) == ("labels", "retrain", "worker")
    assert due() == [], "it is queued"


def end_first_run(conn: psycopg.Connection) -> None:
    """A person's run that has tried all labels so far."""
    request_run(conn, NAME, "retrain", "person")
    end(conn, "succeeded")


@pytest.mark.parametrize("status", ["succeeded", "stopped"])
def test_labels_that_were_tried_are_not_due_again(conn: psycopg.Connection, due: Due, status: str) -> None:
    label(conn, 0, 60)
    assert due() == [NAME]
    end(conn, status)
    assert due() == []
    label(conn, 100, 10)
    assert due() == [NAME]


def test_labels_of_a_run_that_failed_are_due_again_after_a_while(
    conn: psycopg.Connection, due: Due, settings: Settings
) -> None:
    label(conn, 0, 60)
    for failures, minutes in enumerate((1, 2, 4), start=1):
        assert due() == [NAME], "a run that failed has tried nothing"
        end(conn, "failed")
        assert due() == []
        assert dispatching.failed_lately(settings, [NAME]) == {NAME}
        age(conn, timedelta(minutes=minutes) - timedelta(seconds=20))
        assert due() == [], f"after {failures} failures it takes {minutes} minutes"
        age(conn, timedelta(seconds=25))
        assert dispatching.failed_lately(settings, [NAME]) == set()
    assert due() == [NAME]
    end(conn, "succeeded")
    assert due() == []


def test_what_has_failed_for_months_is_tried_each_hour(
    conn: psycopg.Connection, due: Due, settings: Settings
) -> None:
    label(conn, 0, 60)
    conn.execute(
        "INSERT INTO run (use_case, kind, trigger, status, requested_at, finished_at)"
        " SELECT %s, 'retrain', 'labels', 'failed', now(), now() FROM generate_series(1, 1100)",
        (NAME,),
    )
    assert due() == []
    age(conn, timedelta(minutes=59))
    assert dispatching.failed_lately(settings, [NAME]) == {NAME}
    age(conn, timedelta(minutes=2))
    assert due() == [NAME]


def age(conn: psycopg.Connection, by: timedelta) -> None:
    """Let time pass for the runs that have ended."""
    conn.execute(
        "UPDATE run SET started_at = started_at - %(by)s, finished_at = finished_at - %(by)s", {"by": by}
    )


def test_a_use_case_whose_run_failed_is_looked_at_again_without_a_notice(
    conn: psycopg.Connection, due: Due, settings: Settings
) -> None:
    label(conn, 0, 60)
    assert due() == [NAME]
    end(conn, "failed")
    assert asyncio.run(dispatching.ask_where_due(settings, {NAME: USE_CASE})) == {NAME}
    age(conn, timedelta(minutes=2))
    assert asyncio.run(dispatching.ask_where_due(settings, {NAME: USE_CASE})) == set()
    assert queued_run(conn, NAME) is not None


def test_labels_that_came_to_light_during_a_run_are_not_tried(
    conn: psycopg.Connection, due: Due, database_url: str, tmp_path: Path
) -> None:
    """Of a transaction that began before the run and ended after it had read the labels."""
    label(conn, 0, 60)
    assert due() == [NAME]
    with connect(database_url) as slow:
        for number in range(10):
            slow.execute(
                "INSERT INTO feedback (use_case, identity, record, label) VALUES (%s, %s, '{}', 'good')",
                (NAME, f"i:late-{number}"),
            )
        conn.execute(
            "INSERT INTO feedback (use_case, identity, record, label)"
            " VALUES (%s, 'i:newest', '{\"weight\": 1}', 'good')",
            (NAME,),
        )
        run = queued_run(conn, NAME)
        assert run is not None
        token = lifecycle.start_run(conn, run.id)
        taken = take_snapshot(conn, WEIGHTLESS, tmp_path, since=None, learned=NOTHING_LEARNED)
        assert taken.rows == 61
        lifecycle.finish_run(conn, run.id, token, "succeeded", result={"snapshot": taken.digest})
        assert due() == []
    assert due() == [NAME]


def test_labels_of_a_run_that_was_killed_are_due_again(conn: psycopg.Connection, due: Due) -> None:
    label(conn, 0, 60)
    assert due() == [NAME]
    run = queued_run(conn, NAME)
    assert run is not None
    lifecycle.start_run(conn, run.id)
    conn.execute("UPDATE run SET heartbeat_at = now() - interval '1 hour'")
    assert lifecycle.mark_lost(conn, NAME) == [run.id]
    assert due() == [NAME]


def test_what_is_lost_again_and_again_waits_as_what_fails(
    conn: psycopg.Connection, due: Due, settings: Settings
) -> None:
    """A fit that needs more memory than there is kills every run that it is tried in."""
    label(conn, 0, 60)
    for losses, minutes in enumerate((0, 1, 2, 4), start=1):
        assert due() == [NAME]
        run = queued_run(conn, NAME)
        assert run is not None
        lifecycle.start_run(conn, run.id)
        conn.execute("UPDATE run SET heartbeat_at = now() - interval '1 hour' WHERE status = 'running'")
        lifecycle.mark_lost(conn, NAME)
        if minutes:
            assert due() == []
            assert dispatching.failed_lately(settings, [NAME]) == {NAME}
            age(conn, timedelta(minutes=minutes) - timedelta(seconds=20))
            assert due() == [], f"after {losses} losses it takes {minutes} minutes"
            age(conn, timedelta(seconds=25))
    assert due() == [NAME]


def test_labels_that_do_not_fit_any_more_were_tried_with_the_others(
    conn: psycopg.Connection, due: Due, tmp_path: Path
) -> None:
    """Else the same run, which has nothing to learn from, would be due again as soon as it has ended."""

    def run() -> None:
        queued = queued_run(conn, NAME)
        assert queued is not None
        token = lifecycle.start_run(conn, queued.id)
        taken = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
        assert taken.rows == fitting
        lifecycle.finish_run(conn, queued.id, token, "succeeded", {"snapshot": taken.digest})

    fitting = 0
    label(conn, 0, 60)
    assert due() == [NAME]
    run()
    assert due() == []
    label(conn, 100, 10)
    assert due() == [NAME]
    run()
    assert due() == [], "of the same content, which is kept once"
    fitting = 1
    add_feedback(conn, NAME, FeedbackBatch(["i:fits"], ['{"weight": 1}'], ["good"], "test"))
    label(conn, 200, 40)
    assert due() == [NAME]
    run()
    assert due() == []


def test_while_a_run_is_at_work_none_is_asked_for(conn: psycopg.Connection, due: Due) -> None:
    lifecycle.start_run(conn, request_run(conn, NAME, "retrain", "person"))
    label(conn, 0, 60)
    assert due() == []


def test_with_the_registry_away_it_cannot_be_told(
    conn: psycopg.Connection, due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(conn, 0, 60)
    monkeypatch.setattr(FirstInProduction, "away", True)
    with pytest.raises(RegistryUnavailable):
        due()


def test_whoever_listens_is_told_of_labels(conn: psycopg.Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {LABELS_CHANNEL}")
        label(conn, 0, 3)
        label(conn, 0, 3)  # nothing new
        label(conn, 3, 1)
        notes = [note.payload for note in listener.notifies(timeout=5, stop_after=2)]
        more = list(listener.notifies(timeout=0.2))
    assert (notes, more) == ([NAME, NAME], [])


def test_the_deployment_starts_on_the_event_with_the_run_that_it_names() -> None:
    (trigger,) = deployments(USE_CASE, "ratchet")[-1]["triggers"]
    assert trigger["expect"] == ["ratchet.labels.due"]
    assert trigger["match"] == {"prefect.resource.id": "ratchet.use-case.apples"}
    assert trigger["parameters"]["run_id"]["template"] == "{{ event.payload.run_id }}"
    never = USE_CASE.model_copy(update={"retrain": RetrainConfig(every_labels=None)})
    assert all("triggers" not in entry for entry in deployments(never, "ratchet"))
