"""A promotion cut off at any step is settled by the next run, and never counts twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from configs.schema import GateConfig
from models.gate.checks import judge
from models.gate.decision import GateDecision
from models.production import ledger
from models.production.contract import Alias
from models.production.promotion import note_verdict, promote, reconcile
from models.production.registry import Registry
from models.production.tags import SNAPSHOT_TAG
from store.database.connection import connect
from store.errors import Fenced
from store.runs import lifecycle
from store.runs.lifecycle import request_run

USE_CASE = "apples"
FIRST = judge(GateConfig(), rows=200, challenger=0.9, production=None, differences=None)


class Died(Exception):
    """Stands for the process being killed."""


class MemoryRegistry(Registry):
    """Aliases in memory; dies before the call number `dies_before` that changes one."""

    def __init__(self) -> None:
        super().__init__("memory:")
        self.named: dict[str, int] = {}
        self.dies_before: int | None = None

    def alias_version(self, use_case: str, alias: Alias) -> int | None:
        return self.aliases(use_case).get(alias)

    def aliases(self, use_case: str) -> dict[str, int]:
        assert use_case == USE_CASE
        return dict(self.named)

    def set_alias(self, use_case: str, alias: Alias, version: int) -> None:
        assert use_case == USE_CASE
        if self.dies_before is not None:
            self.dies_before -= 1
            if self.dies_before < 0:
                raise Died
        self.named[alias] = version

    def delete_alias(self, use_case: str, alias: Alias) -> None:
        assert use_case == USE_CASE
        del self.named[alias]


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database_url) as connection:
        yield connection


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def promote_version(
    conn: psycopg.Connection[Any],
    registry: Registry,
    version: int,
    decision: GateDecision = FIRST,
    against: int | None = None,
) -> None:
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    token = lifecycle.start_run(conn, run_id)
    conn.commit()
    try:
        promote(
            conn,
            registry,
            USE_CASE,
            version=version,
            against=against or registry.alias_version(USE_CASE, "production"),
            decision=decision,
            actor="person",
            run_id=run_id,
            token=token,
        )
    finally:
        conn.rollback()
        lifecycle.finish_run(conn, run_id, token, "succeeded")
        conn.commit()


def events(conn: psycopg.Connection[Any]) -> list[tuple[str, int | None, int | None]]:
    rows = reversed(ledger.history(conn, USE_CASE))
    return [(row.event, row.from_version, row.to_version) for row in rows]


def test_the_first_promotion_is_also_the_original(
    conn: psycopg.Connection[Any], registry: MemoryRegistry
) -> None:
    promote_version(conn, registry, 1)
    promote_version(conn, registry, 2)
    assert registry.named == {"original": 1, "previous": 1, "production": 2}
    assert events(conn) == [
        ("intent", None, 1),
        ("promoted", None, 1),
        ("intent", 1, 2),
        ("promoted", 1, 2),
    ]
    assert ledger.open_intents(conn, USE_CASE) == []


def test_servers_are_told_when_and_only_when_production_has_moved(
    conn: psycopg.Connection[Any], registry: MemoryRegistry, database_url: str
) -> None:
    with connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {ledger.CHANNEL}")
        registry.dies_before = 1
        with pytest.raises(Died):
            promote_version(conn, registry, 1)
        assert list(listener.notifies(timeout=0.2, stop_after=1)) == []
        registry.dies_before = None
        promote_version(conn, registry, 2)
        (note,) = listener.notifies(timeout=5, stop_after=1)
    move = ledger.last_move(conn, USE_CASE)
    assert move is not None
    assert json.loads(note.payload) == {"use_case": "apples", "version": 2, "move": move.id}


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("before", [[], [1], [1, 2]], ids=["first", "second", "third"])
def test_a_promotion_that_is_cut_off_is_settled(
    conn: psycopg.Connection[Any], registry: MemoryRegistry, before: list[int], step: int
) -> None:
    for version in before:
        promote_version(conn, registry, version)
    aliases = dict(registry.named)
    registry.dies_before = step
    version = len(before) + 1
    try:
        promote_version(conn, registry, version)
        finished = True
    except Died:
        finished = False
    registry.dies_before = None

    settled = reconcile(conn, registry, USE_CASE)

    assert ledger.open_intents(conn, USE_CASE) == []
    assert reconcile(conn, registry, USE_CASE) == []
    move = ledger.last_move(conn, USE_CASE)
    assert (move.to_version if move else None) == registry.named.get("production")
    if finished:
        assert settled == []
        assert registry.named["production"] == version
    else:
        assert settled == [f"abandoned the promotion of version {version}"]
        assert registry.named == aliases


def test_a_move_whose_closing_row_is_missing_is_completed_and_announced(
    conn: psycopg.Connection[Any], registry: MemoryRegistry, database_url: str
) -> None:
    ledger.record(
        conn, USE_CASE, "intent", actor="person", reason="better", to_version=7, evidence={"aliases": {}}
    )
    conn.commit()
    registry.named = {"original": 7, "production": 7}
    with connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {ledger.CHANNEL}")
        assert reconcile(conn, registry, USE_CASE) == ["completed the promotion of version 7"]
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1
    assert events(conn)[-1] == ("promoted", None, 7)


def test_a_run_that_was_taken_for_dead_cannot_promote(
    conn: psycopg.Connection[Any], registry: MemoryRegistry
) -> None:
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    token = lifecycle.start_run(conn, run_id)
    conn.commit()
    conn.execute("UPDATE run SET heartbeat_at = now() - interval '1 hour'")
    lifecycle.mark_lost(conn, USE_CASE)
    conn.commit()
    with pytest.raises(Fenced):
        promote(
            conn,
            registry,
            USE_CASE,
            version=1,
            against=None,
            decision=FIRST,
            actor="person",
            run_id=run_id,
            token=token,
        )
    conn.rollback()
    assert registry.named == {}
    assert reconcile(conn, registry, USE_CASE) == ["abandoned the promotion of version 1"]


def test_a_verdict_that_moves_nothing_is_written_down(
    conn: psycopg.Connection[Any], registry: MemoryRegistry
) -> None:
    decision = judge(GateConfig(), rows=10, challenger=0.9, production=0.8, differences=None)
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    note_verdict(
        conn,
        USE_CASE,
        "too_little_evidence",
        reason=decision.reason,
        decision=decision,
        production=3,
        version=4,
        actor="schedule",
        run_id=run_id,
        challenger="full",
    )
    (row,) = ledger.history(conn, USE_CASE)
    assert (row.event, row.from_version, row.to_version) == ("too_little_evidence", 3, 4)
    assert (row.evidence["challenger_name"], row.evidence["challenger"]) == ("full", 0.9)
    assert row.evidence["production"] == 0.8
    assert registry.named == {}


def test_the_ledger_refuses_changes(conn: psycopg.Connection[Any]) -> None:
    ledger.record(conn, USE_CASE, "external", actor="mlflow", reason="", to_version=1)
    conn.commit()
    for statement in ("UPDATE ledger SET reason = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"):
        with pytest.raises(psycopg.Error, match="append-only"):
            conn.execute(statement)
        conn.rollback()


def test_an_alias_moved_by_hand_is_noted_once(conn: psycopg.Connection[Any]) -> None:
    noted = ledger.note_external(conn, USE_CASE, lambda: 5)
    conn.commit()
    move = ledger.last_move(conn, USE_CASE)
    assert move is not None
    assert move.id == noted
    assert ledger.note_external(conn, USE_CASE, lambda: 5) is None
    assert events(conn) == [("external", None, 5)]


def test_a_move_of_our_own_is_not_taken_for_one_by_hand(
    conn: psycopg.Connection[Any], registry: MemoryRegistry, database_url: str
) -> None:
    promote_version(conn, registry, 1)

    def read_while_ratchet_promotes() -> int:
        with connect(database_url) as other:
            promote_version(other, registry, 2)
        return 2

    assert ledger.note_external(conn, USE_CASE, read_while_ratchet_promotes) is None
    conn.commit()
    assert [event for event, *_ in events(conn)] == ["intent", "promoted", "intent", "promoted"]


def test_a_refused_version_is_noted_once_for_each_reason(conn: psycopg.Connection[Any]) -> None:
    assert ledger.note_refused(conn, USE_CASE, 3, "file model.onnx was changed")
    assert not ledger.note_refused(conn, USE_CASE, 3, "file model.onnx was changed")
    assert ledger.note_refused(conn, USE_CASE, 3, "something else")


def test_a_promotion_says_which_challenger_beside_its_score(
    conn: psycopg.Connection[Any], registry: MemoryRegistry
) -> None:
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    token = lifecycle.start_run(conn, run_id)
    conn.commit()
    decision = judge(GateConfig(), rows=10, challenger=0.9, production=None, differences=None)
    promote(
        conn, registry, USE_CASE,
        version=1, against=None, decision=decision, actor="ann", run_id=run_id, token=token,
        challenger="full",
    )  # fmt: skip
    evidence = ledger.history(conn, USE_CASE)[0].evidence
    assert (evidence["challenger_name"], evidence["challenger"]) == ("full", 0.9)


def test_older_rows_with_the_name_in_the_place_of_the_score_are_the_same_try(
    conn: psycopg.Connection[Any],
) -> None:
    judged = {"difference": 0.01, "production": 0.8, "interval": {"low": -0.1, "high": 0.1}}
    named = {"challenger_name": "full", "challenger": 0.81}
    for told in ({"challenger": "full"}, named, named | {"challenger_name": "warm"}):
        run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
        ledger.record(
            conn, USE_CASE, "registered",
            actor="retrain", reason="", to_version=2, run_id=run_id, evidence={"tags": {SNAPSHOT_TAG: "5a"}},
        )  # fmt: skip
        ledger.record(
            conn, USE_CASE, "rejected",
            actor="ann", reason="", from_version=1, to_version=2, run_id=run_id, evidence=judged | told,
        )  # fmt: skip
        conn.execute("DELETE FROM run")
    assert ledger.tries_against(conn, USE_CASE, 1) == 2
