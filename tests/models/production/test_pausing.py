"""While promotion is paused nothing wins, and a person can still go back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from models.errors import PromotionPaused
from models.production import ledger
from models.production.pausing import pause, resume
from models.production.promotion import reconcile
from store.database.connection import connect
from store.pauses import find_pause
from tests.models.production.test_promotion import USE_CASE, MemoryRegistry, events, promote_version


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database_url) as connection:
        yield connection


def test_nothing_is_promoted_between_pause_and_resume(conn: psycopg.Connection[Any]) -> None:
    registry = MemoryRegistry()
    promote_version(conn, registry, 1)
    assert pause(conn, USE_CASE, actor="ann", reason="release freeze")
    with pytest.raises(PromotionPaused, match="paused by ann: release freeze"):
        promote_version(conn, registry, 2)
    assert registry.named["production"] == 1
    assert reconcile(conn, registry, USE_CASE) == [], "nothing was begun"
    assert resume(conn, USE_CASE, actor="bob", reason="released")
    promote_version(conn, registry, 2)
    assert [event for event, *_ in events(conn)] == [
        *("intent", "promoted", "paused", "resumed", "intent", "promoted"),
    ]


def test_pausing_twice_is_pausing_once(conn: psycopg.Connection[Any]) -> None:
    assert pause(conn, USE_CASE, actor="ann", reason="freeze")
    assert not pause(conn, USE_CASE, actor="bob", reason="also")
    found = find_pause(conn, USE_CASE)
    assert found is not None
    assert (found.actor, found.reason) == ("ann", "freeze")
    assert find_pause(conn, "other") is None
    assert resume(conn, USE_CASE, actor="bob", reason="")
    assert not resume(conn, USE_CASE, actor="bob", reason="")
    assert [row.actor for row in ledger.history(conn, USE_CASE)] == ["bob", "ann"]
