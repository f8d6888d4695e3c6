"""Going back: one version at a time, never to the one gone back from, and settled when cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from models.errors import (
    AlreadyProduction,
    ArtifactDamaged,
    NoProduction,
    NothingBefore,
    ProductionMoved,
    UnknownVersion,
    VersionDeleted,
)
from models.production import ledger
from models.production.contract import Version
from models.production.promotion import reconcile
from models.production.rollback import roll_back
from models.production.tags import SNAPSHOT_TAG
from models.retraining.backlog import ProductionFacts, known_reach, read_production, standing
from models.versions.artifact import MANIFEST, artifact_digest
from models.versions.cache import cached_artifact
from store.database.connection import connect
from store.database.locks import lock_session
from store.snapshots.reach import Reach
from tests.models.production.test_promotion import USE_CASE, Died, MemoryRegistry, events, promote_version


class Versioned(MemoryRegistry):
    """With versions 1 to 5, each made of a snapshot of its own."""

    def version(self, use_case: str, version: int) -> Version:
        if not 1 <= version <= 5:
            raise UnknownVersion(use_case, version)
        return Version(use_case, version, "", {SNAPSHOT_TAG: f"rows-{version}"}, (), 0)

    def download(self, use_case: str, version: int, cache_dir: Path, digest: str | None = None) -> Path:
        target = cached_artifact(cache_dir, use_case, version)
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).write_text(str(version))
        if digest is not None and artifact_digest(target) != digest:
            raise ArtifactDamaged(use_case, version, "it was replaced", expected=digest, actual="another")
        return target


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database_url) as connection:
        for version in range(1, 6):
            connection.execute(
                "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq,"
                " last_seq) VALUES (%s, %s, '', 1, 1, 0, 1, %s)",
                (f"rows-{version}", USE_CASE, version * 100),
            )
        connection.commit()
        yield connection


@pytest.fixture
def registry(conn: psycopg.Connection[Any]) -> Versioned:
    made = Versioned()
    for version in (1, 2, 3):
        promote_version(conn, made, version)
    return made


def back(conn: psycopg.Connection[Any], registry: Versioned, to: int | None = None) -> tuple[int, int]:
    with TemporaryDirectory() as folder:
        done = roll_back(
            conn, registry, USE_CASE, to=to, actor="ann", reason="wrong prices", cache_dir=Path(folder)
        )
    return done.from_version, done.to_version


def test_it_goes_back_to_the_version_before_and_says_who_and_why(
    conn: psycopg.Connection[Any], registry: Versioned, database_url: str
) -> None:
    with connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {ledger.CHANNEL}")
        assert back(conn, registry) == (3, 2)
        (note,) = listener.notifies(timeout=5, stop_after=1)
    move = ledger.last_move(conn, USE_CASE)
    assert move is not None
    assert json.loads(note.payload) == {"use_case": "apples", "version": 2, "move": move.id}
    assert registry.named == {"original": 1, "previous": 1, "production": 2}
    row = ledger.history(conn, USE_CASE)[0]
    assert (row.event, row.actor, row.reason, row.from_version, row.to_version) == (
        *("rolled_back", "ann", "wrong prices"),
        *(3, 2),
    )
    assert ledger.open_intents(conn, USE_CASE) == []


def test_twice_goes_back_two_versions_and_no_further(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    assert [back(conn, registry), back(conn, registry)] == [(3, 2), (2, 1)]
    assert registry.named == {"original": 1, "production": 1}
    with pytest.raises(NothingBefore, match=r"`ratchet rollback \w+ --to V` takes any that is registered"):
        back(conn, registry)


def test_a_new_winner_goes_back_to_the_version_it_beat(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    back(conn, registry)
    promote_version(conn, registry, 4)
    assert back(conn, registry) == (4, 2)


def test_a_person_may_name_any_version_of_the_registry(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    assert back(conn, registry, to=1) == (3, 1)
    assert back(conn, registry, to=3) == (1, 3)
    assert registry.named == {"original": 1, "previous": 2, "production": 3}
    for wrong, error in ((3, NothingBefore), (9, UnknownVersion)):
        with pytest.raises(error):
            back(conn, registry, to=wrong)


def test_production_itself_is_said_to_be_production_already(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    with pytest.raises(AlreadyProduction, match="version 3 of 'apples' is production already"):
        back(conn, registry, to=3)


@pytest.mark.parametrize("moved", [None, 3, 9])
def test_with_previous_moved_to_nowhere_the_ledger_tells_the_version_before(
    conn: psycopg.Connection[Any], registry: Versioned, moved: int | None
) -> None:
    if moved is None:
        registry.delete_alias(USE_CASE, "previous")
    else:
        registry.named["previous"] = moved
    assert back(conn, registry) == (3, 2)


def test_a_version_that_never_served_can_be_gone_back_from(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    assert back(conn, registry, to=5) == (3, 5)
    assert back(conn, registry) == (5, 3)
    assert back(conn, registry) == (3, 2)


def test_nothing_moves_to_a_version_whose_bytes_are_not_those_registered(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    ledger.record(
        conn, USE_CASE, "registered", actor="x", reason="", to_version=2, evidence={"digest": "other"}
    )
    conn.commit()
    aliases = dict(registry.named)
    with pytest.raises(ArtifactDamaged, match="version 2 of 'apples'"):
        back(conn, registry)
    assert registry.named == aliases
    assert ledger.open_intents(conn, USE_CASE) == []
    assert events(conn)[-1] == ("refused", None, 2)
    assert back(conn, registry, to=1) == (3, 1)


def test_production_without_its_alias_can_be_gone_back_to_and_from(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    registry.delete_alias(USE_CASE, "production")
    assert back(conn, registry, to=3) == (3, 3)
    assert registry.named["production"] == 3
    assert known_reach(conn, USE_CASE, "rows-3") == Reach(300)
    registry.delete_alias(USE_CASE, "production")
    assert back(conn, registry) == (3, 2)
    assert registry.named["production"] == 2


def test_a_version_that_was_deleted_is_told_apart_from_one_that_never_was(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    tags = {SNAPSHOT_TAG: "rows-9"}
    evidence = {"digest": "x", "tags": tags}
    ledger.record(conn, USE_CASE, "registered", actor="x", reason="", to_version=9, evidence=evidence)
    conn.commit()
    with pytest.raises(VersionDeleted, match=f"version 9 .* deleted in MLflow.*rollback {USE_CASE} --to V"):
        back(conn, registry, to=9)
    with pytest.raises(UnknownVersion, match="has no version 8"):
        back(conn, registry, to=8)
    registry.delete_alias(USE_CASE, "production")
    facts = read_production(conn, registry, USE_CASE)
    assert facts is not None
    assert "the alias production" in str(facts.problem)


def test_production_that_was_deleted_is_told_as_that(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    ledger.record(conn, USE_CASE, "promoted", actor="x", reason="", from_version=3, to_version=9)
    conn.commit()
    registry.delete_alias(USE_CASE, "production")
    facts = read_production(conn, registry, USE_CASE)
    assert facts is not None
    assert "version 9 of 'apples' is production by the ledger, but was deleted in MLflow" in str(
        facts.problem
    )


def test_without_production_there_is_nothing_to_go_back_from(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(NoProduction):
        back(conn, Versioned())


def test_what_had_come_by_the_rollback_no_longer_counts_as_new(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    facts = ProductionFacts(2, "rows-2", ledger.history(conn, USE_CASE)[0].at)
    conn.execute(
        "INSERT INTO feedback (use_case, identity, seq, record, label) "
        "SELECT %s, 'i:' || n, n, '{}', 'good' FROM generate_series(250, 350, 50) AS n",
        (USE_CASE,),
    )
    assert standing(conn, USE_CASE, facts).new_labels == 3
    back(conn, registry)
    assert known_reach(conn, USE_CASE, "rows-2") == Reach(350), "also what came after version 3 was made"
    assert standing(conn, USE_CASE, facts).new_labels == 0
    conn.execute(
        "INSERT INTO feedback (use_case, identity, seq, record, label)"
        " VALUES (%s, 'i:320', 320, '{}', 'good')",
        (USE_CASE,),
    )
    assert known_reach(conn, USE_CASE, "rows-2") == Reach(350, frozenset({320})), "it came later"
    assert standing(conn, USE_CASE, facts).new_labels == 1
    promote_version(conn, registry, 4)
    assert known_reach(conn, USE_CASE, "rows-2") == Reach(200)


def test_what_had_come_by_a_rollback_is_known_though_the_clock_was_set_back(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    facts = ProductionFacts(2, "rows-2", ledger.history(conn, USE_CASE)[0].at)
    insert = "INSERT INTO feedback (use_case, identity, record, label) SELECT %s, 'i:' || n, '{}', 'good' "
    conn.execute("SELECT setval('feedback_seq', 400)")
    conn.execute(f"{insert} FROM generate_series(1, 20) AS n", (USE_CASE,))
    conn.execute("UPDATE feedback SET received_at = received_at + interval '2 hours'")
    back(conn, registry)
    assert standing(conn, USE_CASE, facts).new_labels == 0, "they had come before the clock was set back"
    conn.execute(f"{insert} FROM generate_series(21, 25) AS n", (USE_CASE,))
    assert standing(conn, USE_CASE, facts).new_labels == 5


def test_a_rollback_that_an_earlier_release_made_is_told_by_its_time(
    conn: psycopg.Connection[Any], registry: Versioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = ProductionFacts(2, "rows-2", ledger.history(conn, USE_CASE)[0].at)
    conn.execute("SELECT setval('feedback_seq', 400)")
    insert = "INSERT INTO feedback (use_case, identity, record, label) VALUES (%s, %s, '{}', 'good')"
    conn.execute(insert, (USE_CASE, "i:1"))
    conn.commit()
    with monkeypatch.context() as earlier:
        earlier.setattr(ledger, "WITH_WHAT_CAME", ())
        back(conn, registry)
    conn.execute(insert, (USE_CASE, "i:2"))
    assert standing(conn, USE_CASE, facts).new_labels == 1


def test_a_rollback_that_was_undone_takes_nothing_back(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    back(conn, registry)
    assert [entry.from_version for entry in ledger.taken_back(conn, USE_CASE)] == [3]
    back(conn, registry, to=3)
    assert ledger.taken_back(conn, USE_CASE) == []
    assert known_reach(conn, USE_CASE, "rows-3") == Reach(300)


@pytest.mark.parametrize("step", range(3))
def test_going_back_that_is_cut_off_is_settled_by_the_next_move(
    conn: psycopg.Connection[Any], registry: Versioned, step: int
) -> None:
    aliases = dict(registry.named)
    registry.dies_before = step
    finished = True
    try:
        back(conn, registry)
    except Died:
        finished = False
    registry.dies_before = None
    settled = reconcile(conn, registry, USE_CASE)
    assert ledger.open_intents(conn, USE_CASE) == []
    if finished:
        assert settled == []
        assert registry.named["production"] == 2
    else:
        assert settled == ["abandoned the rollback to version 2"]
        assert registry.named == aliases


def test_going_back_whose_closing_row_is_missing_is_completed(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    evidence = {"move": "rolled_back", "aliases": registry.named, "snapshot": "rows-3"}
    ledger.record(
        conn, USE_CASE, "intent", actor="ann", reason="x", from_version=3, to_version=2, evidence=evidence
    )
    conn.commit()
    registry.named["production"] = 2
    assert reconcile(conn, registry, USE_CASE) == ["completed the rollback to version 2"]
    assert events(conn)[-1] == ("rolled_back", 3, 2)
    assert known_reach(conn, USE_CASE, "rows-2") == Reach(300)


def test_what_was_judged_against_another_version_is_not_promoted(
    conn: psycopg.Connection[Any], registry: Versioned
) -> None:
    back(conn, registry)
    with pytest.raises(ProductionMoved, match="is version 2 by now"):
        promote_version(conn, registry, 4, against=3)
    assert registry.named["production"] == 2


def test_moves_of_one_use_case_wait_for_each_other(
    conn: psycopg.Connection[Any], registry: Versioned, database_url: str
) -> None:
    with connect(database_url, autocommit=True) as other:
        lock_session(other, "move", USE_CASE)
        conn.execute("SET lock_timeout = '200ms'")
        conn.commit()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            back(conn, registry)
        conn.rollback()
    assert registry.named["production"] == 3
