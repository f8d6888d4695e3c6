"""A source that contradicts the others, or floods, is held back by declared rules, told, never dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from configs.schema import FieldConfig, RecordConfig, UseCase
from features.records.contract import RecordContract
from store.errors import UnknownSource
from store.feedback.insertion import FeedbackBatch, add_feedback, label_predictions
from store.feedback.rows import count_feedback, read_feedback
from store.notices import begin_notices, events_without_notice
from store.predictions.labelled_answers import newest_window
from store.snapshots.learned import NOTHING_LEARNED
from store.sources.holding import settle_sources, tell_source
from store.sources.standings import SourceStanding, source_facts
from store.splits.taking import take_snapshot

RECORD = RecordConfig(fields=(FieldConfig(name="x", type="number"),))
USE_CASE = UseCase.model_validate(
    {
        "name": "u", "title": "U", "kind": "tabular", "record": RECORD, "model": {"estimator": "logistic"},
        "target": {"task": "binary", "column": "y", "classes": ["0", "1"]},
    }
)  # fmt: skip


def with_rules(**rules: object) -> UseCase:
    return UseCase.model_validate(USE_CASE.model_dump() | {"labels": {"hold_back": rules}})


def say(
    conn: psycopg.Connection, who: str, rows: range, label: str = "0", at: datetime | None = None
) -> None:
    names, documents = [f"i:{row}" for row in rows], [f'{{"x":{row}.0}}' for row in rows]
    times = [at] * len(rows)
    with conn.transaction():
        add_feedback(
            conn, "u", FeedbackBatch(names, documents, [label] * len(rows), "http", times, said_by=who)
        )


def standing(conn: psycopg.Connection, use_case: UseCase = USE_CASE) -> dict[str, SourceStanding]:
    return {one.name: one for one in settle_sources(conn, use_case)}


def held(conn: psycopg.Connection, use_case: UseCase = USE_CASE) -> list[str]:
    return [name for name, one in standing(conn, use_case).items() if one.held_since is not None]


def labels(conn: psycopg.Connection) -> dict[int, str]:
    rows = read_feedback(conn, "u", RecordContract(RECORD))
    return {int(x): str(label) for x, label in zip(rows.columns["x"], rows.labels, strict=True)}


def test_one_source_is_never_held_back(conn: psycopg.Connection) -> None:
    say(conn, "file", range(100))
    say(conn, "file", range(50), "1")
    one = standing(conn)["file"]
    assert (one.labels, one.compared, one.held_since) == (100, 0, None)


def test_who_flips_labels_is_held_back_and_the_others_decide(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    say(conn, "mallory", range(300, 320), "1")
    assert sum(label == "1" for label in labels(conn).values()) == 60, "of a tie the newest"
    assert held(conn) == ["mallory"]
    mallory = standing(conn)["mallory"]
    assert (mallory.labels, mallory.compared, mallory.contradicts) == (60, 40, 40)
    assert labels(conn) == dict.fromkeys(range(200), "0"), "neither learned from nor judged on"
    assert count_feedback(conn, "u") == 200
    snapshot = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
    assert snapshot.rows == 200
    assert snapshot.warnings == (
        "60 labels of source 'mallory' were left out, as it is held back: contradicts other sources in 40 of "
        "40 rows that both labelled (100%; allowed: 15%, labels.hold_back.contradicts)",
    )
    assert conn.execute("SELECT count(*) FROM feedback").fetchone() == (220,), "nothing is dropped"
    facts = source_facts(conn, "u")
    assert facts["warning"].startswith("source 'mallory' is held back: contradicts other sources in 40 of 40")


def test_a_source_that_mends_its_labels_is_released_and_they_are_new(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    say(conn, "mallory", range(300, 320), "1")
    assert held(conn) == ["mallory"]
    seq = int(read_feedback(conn, "u", RecordContract(RECORD)).seq.max())
    say(conn, "mallory", range(40), "0")
    assert held(conn) == []
    assert len(labels(conn)) == 220
    assert count_feedback(conn, "u", since_seq=seq) == 20


def test_a_person_overrules_the_rules(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    assert held(conn) == ["mallory"]
    tell_source(conn, USE_CASE, "mallory", "release", "ann")
    assert held(conn) == ["shop"], "then it is the other one that contradicts what counts"
    tell_source(conn, USE_CASE, "shop", "release", "ann")
    assert held(conn) == []
    assert sum(label == "1" for label in labels(conn).values()) == 40
    tell_source(conn, USE_CASE, "mallory", "hold", "ann")
    assert held(conn) == ["mallory"]
    assert "ann said so" in str(standing(conn)["mallory"].reason)
    assert set(labels(conn).values()) == {"0"}
    with pytest.raises(UnknownSource, match="those that it has: mallory, shop"):
        tell_source(conn, USE_CASE, "eve", "hold", "ann")


def test_few_compared_rows_say_nothing_and_the_rule_can_be_off(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(29), "1")
    assert held(conn) == []
    say(conn, "mallory", range(30), "1")
    assert held(conn, with_rules(contradicts=None)) == []
    assert held(conn) == ["mallory"]


def test_a_fifth_of_flips_among_true_labels_is_too_much_and_a_tenth_is_not(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "careful", range(180))
    say(conn, "careful", range(180, 200), "1")
    assert held(conn) == []
    say(conn, "mallory", range(40), "1")
    say(conn, "mallory", range(40, 200))
    assert held(conn) == ["mallory"]
    assert standing(conn)["shop"].contradicts == 20, "a tie with `careful` once mallory has no voice"


def test_of_two_that_contradict_each_other_production_says_which(conn: psycopg.Connection) -> None:
    ids = [f"01a1fdde-a62f-781a-8470-{row:012d}" for row in range(40)]
    documents = [f'{{"x":{row}.0}}' for row in range(40)]
    for one, document in zip(ids, documents, strict=True):
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, model_version)"
            " VALUES (%s, 'u', %s, '0', 1)",
            (one, document),
        )
    for who, label in (("mallory", "1"), ("shop", "0")):
        with conn.transaction():
            add_feedback(
                conn, "u", label_predictions(ids, None, documents, [label] * 40, "http", said_by=who)
            )
    assert held(conn) == ["mallory"], "though it was first"
    window = newest_window(conn, "u", since=datetime(2020, 1, 1, tzinfo=UTC), most=100)
    assert window is not None and window.counts.accuracy == 1.0
    tell_source(conn, USE_CASE, "mallory", "hold", "ann")
    tell_source(conn, USE_CASE, "shop", "hold", "ann")
    assert newest_window(conn, "u", since=datetime(2020, 1, 1, tzinfo=UTC), most=100) is None


def test_made_up_names_do_not_hide_a_key(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    for number in range(4):
        say(conn, f"mallory/{number}", range(20 * number, 20 * number + 20), "1")
    assert held(conn) == ["mallory"]
    assert set(labels(conn).values()) == {"0"}
    assert len(labels(conn)) == 200


def test_one_bad_annotator_is_held_back_and_the_key_is_not(conn: psycopg.Connection) -> None:
    for who in ("file", "shop/ann", "shop/bob"):
        say(conn, who, range(100))
    say(conn, "shop/eve", range(100), "1")
    assert held(conn) == ["shop/eve"]
    assert set(labels(conn).values()) == {"0"}


def test_who_floods_is_held_back_where_that_is_declared(conn: psycopg.Connection) -> None:
    rules = with_rules(floods=0.5, min_flood=100, flood_hours=1)
    say(conn, "mallory", range(300))
    assert held(conn, rules) == [], "there are no others"
    say(conn, "shop", range(1000, 1040))
    assert held(conn) == [], "by default nobody floods: a first file would"
    assert held(conn, rules) == ["mallory"]
    assert len(labels(conn)) == 40
    conn.execute(
        "UPDATE feedback SET received_at = received_at - interval '2 hours' WHERE said_by = 'mallory'"
    )
    assert held(conn, rules) == [], "the hour is over"


def test_a_source_that_is_held_back_is_told_once(conn: psycopg.Connection) -> None:
    begin_notices(conn, ["u"])
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    for _ in range(2):
        held(conn)
    (event,) = events_without_notice(conn, "u", "target", ["source"])
    assert event.reason.startswith("source 'mallory' contradicts other sources in 40 of 40 rows")


def test_sources_are_not_counted_again_where_nothing_came(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    settle_sources(conn, USE_CASE, always=False)
    conn.execute("UPDATE label_source SET labels = 7")
    assert {one.labels for one in settle_sources(conn, USE_CASE, always=False)} == {7}
    say(conn, "eve", range(1))
    assert {one.name: one.labels for one in settle_sources(conn, USE_CASE, always=False)}["eve"] == 1


def test_event_times_do_not_make_a_vote_newer_than_now(conn: psycopg.Connection) -> None:
    say(conn, "a", range(1), "0")
    say(conn, "b", range(1), "1", datetime.now(UTC) + timedelta(hours=20))
    say(conn, "a", range(1), "0", datetime.now(UTC))
    assert conn.execute("SELECT count(*) FROM feedback_vote WHERE at > clock_timestamp()").fetchone() == (0,)


def test_a_second_liar_does_not_free_the_first(conn: psycopg.Connection) -> None:
    say(conn, "shop", range(200))
    say(conn, "mallory", range(40), "1")
    assert held(conn) == ["mallory"]
    say(conn, "file", range(40), "1")
    assert sorted(held(conn)) == ["file", "mallory"]
    assert set(labels(conn).values()) == {"0"}
