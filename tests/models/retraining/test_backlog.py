"""Where a use case stands, in the figures that are shown of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from models.production import ledger
from models.retraining.backlog import ProductionFacts, Standing, decide, standing
from store.errors import UnknownSnapshot
from store.runs import lifecycle
from tests.store.splits.test_taking import USE_CASE, store


@pytest.mark.parametrize(
    ("age", "days"),
    [
        (None, None),
        (timedelta(0), 0.0),
        (timedelta(minutes=6), 0.004),
        (timedelta(days=15, hours=1), 15.042),
    ],
)
def test_an_age_is_told_in_days_to_three_digits(age: timedelta | None, days: float | None) -> None:
    assert Standing(1, age, total_labels=0, new_labels=0, untried_labels=0).age_days == days


def test_what_was_skipped_for_want_of_rows_is_not_asked_for_again_before_they_may_be_there(
    conn: psycopg.Connection,
) -> None:
    def decided() -> tuple[str, str]:
        decision = decide(conn, USE_CASE, standing(conn, USE_CASE.name, None))
        return decision.verdict, decision.recommendation

    store(conn, [{"weight": number} for number in range(100)])
    conn.commit()
    assert decided() == ("retrain", "retrain now")
    run_id = lifecycle.request_run(conn, USE_CASE.name, "retrain", "schedule")
    token = lifecycle.start_run(conn, run_id)
    lifecycle.finish_run(conn, run_id, token, "succeeded", {"outcome": "skipped", "train_rows": 47})
    assert decided() == ("collect_labels", "need 3 more labels")
    store(conn, [{"weight": number} for number in range(2)], first=100)
    conn.commit()
    assert decided() == ("collect_labels", "need 1 more labels")
    store(conn, [{"weight": 7}], first=102)
    conn.commit()
    assert decided() == ("retrain", "retrain now")


@pytest.mark.parametrize("trigger", ["age", "drift"])
def test_age_starts_one_run_and_the_next_when_labels_have_come_or_production_has_moved(
    conn: psycopg.Connection, trigger: str
) -> None:
    old = Standing(1, timedelta(days=400), total_labels=5000, new_labels=900, untried_labels=300)

    def decided() -> str:
        return decide(conn, USE_CASE, old).verdict

    def run(trigger: str, status: str) -> None:
        run_id = lifecycle.request_run(conn, USE_CASE.name, "retrain", trigger)
        token = lifecycle.start_run(conn, run_id)
        lifecycle.finish_run(conn, run_id, token, status, {"outcome": "rejected"})
        conn.commit()

    assert decided() == "retrain"
    run("schedule", "succeeded")
    assert decided() == "retrain", "another has not been brought forward by it"
    run(trigger, "succeeded")
    assert decided() == "wait"
    assert decide(conn, USE_CASE, replace(old, untried_labels=500)).verdict == "retrain"
    conn.execute("UPDATE run SET started_at = started_at - interval '1 hour'")
    ledger.record(conn, USE_CASE.name, "promoted", actor="test", reason="it won", to_version=1)
    conn.commit()
    assert decided() == "retrain"
    run(trigger, "succeeded")
    conn.execute("UPDATE run SET started_at = started_at - interval '2 hours'")
    assert decided() == "wait", "the clock was set back after it had won"
    conn.execute("UPDATE run SET started_at = started_at + interval '4 hours'")
    ledger.record(conn, USE_CASE.name, "promoted", actor="test", reason="it won again", to_version=1)
    assert decided() == "retrain", "the clock was set back before it won"


def test_a_win_that_an_earlier_release_wrote_down_is_told_by_its_time(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Standing(1, timedelta(days=400), total_labels=5000, new_labels=900, untried_labels=300)
    run_id = lifecycle.request_run(conn, USE_CASE.name, "retrain", "age")
    lifecycle.finish_run(
        conn, run_id, lifecycle.start_run(conn, run_id), "succeeded", {"outcome": "rejected"}
    )
    monkeypatch.setattr(ledger, "WITH_WHAT_CAME", ())
    ledger.record(conn, USE_CASE.name, "promoted", actor="test", reason="it won", to_version=1)
    conn.commit()
    assert decide(conn, USE_CASE, old).verdict == "retrain"
    conn.execute("UPDATE run SET started_at = started_at + interval '1 hour'")
    assert decide(conn, USE_CASE, old).verdict == "wait"


def test_what_was_taken_back_may_be_of_another_database(conn: psycopg.Connection) -> None:
    store(conn, [{"weight": number} for number in range(10)])
    made = ProductionFacts(1, None, datetime.now(UTC))
    ledger.record(conn, USE_CASE.name, "external", actor="mlflow", reason="moved there", to_version=3)
    ledger.record(
        conn,
        USE_CASE.name,
        "rolled_back",
        actor="ann",
        reason="of another database",
        from_version=3,
        to_version=1,
        evidence={"snapshot": "of another database"},
    )
    conn.commit()
    assert standing(conn, USE_CASE.name, made).new_labels == 0, "all that had come by then"
    store(conn, [{"weight": 7}], first=10)
    conn.commit()
    assert standing(conn, USE_CASE.name, made).new_labels == 1
    with pytest.raises(UnknownSnapshot, match="rollback USE_CASE --to V` goes back to a version of this one"):
        standing(conn, USE_CASE.name, replace(made, snapshot="of another database"))
