"""How many labels each source has, as triggers have it: always what counting them would give."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import psycopg
from alembic import command
from alembic.config import Config

from store.database.connection import connect, migrate
from store.database.revisions import SCRIPTS
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.setting_aside import remove_rows
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.feedback.sources import labels_before
from store.sources.counts import count_labels, join_label_counts
from tests.databases import with_database

COUNTED = """
    SELECT name, sum(labels)::bigint FROM (
        SELECT coalesce(said_by, 'earlier') AS name, count(*) AS labels FROM feedback
        WHERE use_case = %(u)s AND NOT voted GROUP BY 1
        UNION ALL SELECT said_by, count(*) FROM feedback_vote WHERE use_case = %(u)s GROUP BY 1
    ) AS counted GROUP BY name ORDER BY name"""
DECIDED = """
    SELECT coalesce(said_by, 'earlier') AS name, count(*) FROM feedback
    WHERE use_case = %s AND seq <= %s GROUP BY 1"""
INSERT = """
    INSERT INTO feedback (use_case, identity, record, label, said_by)
    SELECT %s, 'i:' || g, '{}', '0', nullif('s' || g %% 3, 's0') FROM generate_series(1, %s) AS g"""


def counted(conn: psycopg.Connection, use_case: str = "u") -> dict[str, int]:
    """What there is, counted; held against what triggers have counted, and what came of late."""
    found: dict[str, int] = dict(conn.execute(COUNTED, {"u": use_case}).fetchall())
    assert count_labels(conn, use_case) == found
    assert count_labels(conn, use_case, hours=24) == found
    seqs = [row[0] for row in conn.execute("SELECT seq FROM feedback WHERE use_case = %s", (use_case,))]
    for seq in (0, *seqs[::7], max(seqs, default=0)):
        assert labels_before(conn, use_case, seq) == dict(conn.execute(DECIDED, (use_case, seq)).fetchall())
    return found


def say(conn: psycopg.Connection, who: str, rows: list[int], label: str) -> None:
    names = [f"i:{row}" for row in rows]
    batch = FeedbackBatch(names, ['{"x": 1}'] * len(rows), [label] * len(rows), "http", said_by=who)
    with conn.transaction():
        add_feedback(conn, "u", batch)


def test_whatever_becomes_of_labels(conn: psycopg.Connection) -> None:
    assert counted(conn) == {}
    say(conn, "shop/ann", [1, 2, 3], "0")
    say(conn, "shop/bob", [3, 4], "1")
    assert counted(conn) == {"shop/ann": 3, "shop/bob": 2}
    chance = random.Random(0)
    for _ in range(60):
        what = chance.randrange(6)
        rows = chance.sample(range(30), chance.randint(1, 5))
        if what < 3:
            say(conn, chance.choice(["shop/ann", "shop/bob", "file", "eve"]), rows, chance.choice("01"))
        elif what == 3:
            found = conn.execute("SELECT identity FROM feedback ORDER BY identity LIMIT 1").fetchone()
            if found is not None:
                take_back(conn, "u", LabelSelection((found[0],)), actor="ann", reason="wrong")
        elif what == 4:
            found = conn.execute("SELECT seq FROM feedback ORDER BY seq LIMIT 1").fetchone()
            remove_rows(conn, "u", [] if found is None else [found[0]])
        else:
            join_label_counts(conn, "u")
        counted(conn)
    assert len(counted(conn)) > 2
    join_label_counts(conn, "u")
    assert conn.execute("SELECT DISTINCT session FROM label_count WHERE labels <> 0").fetchall() == [(0,)]
    conn.execute("TRUNCATE feedback")
    counted(conn)
    conn.execute("TRUNCATE feedback_vote")
    assert counted(conn) == {}


def test_sessions_that_meet_sources_in_any_order_do_not_wait_for_each_other(
    database_url: str, conn: psycopg.Connection
) -> None:
    def add(number: int) -> None:
        with connect(database_url) as own:
            for who in (f"s{number % 3}", f"s{(number + 1) % 3}"):
                say(own, who, [number], "0")
            own.commit()

    with ThreadPoolExecutor(8) as pool:
        joined = pool.submit(_join, database_url, 20)
        list(pool.map(add, range(40)))
        joined.result()
    assert counted(conn) == {"s0": 27, "s1": 27, "s2": 26}


def _join(url: str, times: int) -> None:
    with connect(url) as own:
        for _ in range(times):
            join_label_counts(own, "u")
            own.commit()


def test_labels_of_before_are_counted_by_the_migration(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE before_counting_sources")
    url = with_database(postgres, "before_counting_sources")
    config = Config()
    for name, value in SCRIPTS.items():
        config.set_main_option(name, value)
    config.attributes["url"] = url
    command.upgrade(config, "0020")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(INSERT, ("u", 300))
        say(conn, "shop", [1, 2], "1")
        migrate(url)
        assert counted(conn) == {"earlier": 100, "s1": 100, "s2": 100, "shop": 2}
        say(conn, "shop", [3, 400], "1")
        assert counted(conn)["shop"] == 4
        command.downgrade(config, "0020")
        migrate(url)
        assert counted(conn)["shop"] == 4
