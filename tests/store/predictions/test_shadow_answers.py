"""Records that wait for a shadow version, and its answers, each kept and counted once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.predictions.shadow_answers import (
    ShadowAnswer,
    ShadowStanding,
    Waiting,
    ask_again,
    count_left_out,
    find_standing,
    keep_answers,
    newest_prediction,
    read_waiting,
    write_costs,
    write_standing,
)
from store.predictions.shadow_figures import LabelledCounts, read_labelled, read_newest

START = datetime.now(UTC) + timedelta(seconds=1)
AUDITED = "01a1fe1e-7758-754b-970d-{:012x}"


def log(
    conn: psycopg.Connection, ids: Sequence[str], *, version: int = 1, label: str = "a", after: float = 0.0
) -> None:
    """Predictions of use case u, a second apart."""
    for place, name in enumerate(ids):
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, score, model_version, predicted_at)"
            """ VALUES (%s, 'u', '{"x": 1}', %s, 0.5, %s, %s)""",
            (name, label, version, START + timedelta(seconds=after + place)),
        )


def waiting(conn: psycopg.Connection, version: int = 2, most: int = 100) -> list[str]:
    return [one.id for one in read_waiting(conn, "u", version, START, most)]


def answer(conn: psycopg.Connection, label: str | None, error: str | None = None, version: int = 2) -> int:
    """The same answer to all that waits."""
    rows = read_waiting(conn, "u", version, START, 100)
    said = ShadowAnswer(label, None if label is None else 0.9, None if label is None else 0.25, error)
    return keep_answers(conn, "u", version, rows, [said] * len(rows))


def standing(conn: psycopg.Connection) -> ShadowStanding:
    found = find_standing(conn, "u")
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def asked(conn: psycopg.Connection) -> None:
    write_standing(conn, "u", "challenger", 2, "starting")
    conn.execute("UPDATE shadow_standing SET since = %s", (START,))


def test_the_newest_wait_first_and_what_the_version_served_itself_does_not(conn: psycopg.Connection) -> None:
    log(conn, ["1", "2", "3"])
    log(conn, ["own"], version=2, after=9)
    assert waiting(conn) == ["3", "2", "1"]
    assert waiting(conn, most=2) == ["3", "2"]
    assert newest_prediction(conn, "u") == START + timedelta(seconds=9)


def test_what_a_chain_answered_without_a_version_waits_too(conn: psycopg.Connection) -> None:
    log(conn, ["1"])
    conn.execute("UPDATE prediction SET model_version = NULL")
    assert waiting(conn) == ["1"]


def test_an_answer_is_kept_and_counted_once(conn: psycopg.Connection) -> None:
    log(conn, ["1", "2"])
    rows = read_waiting(conn, "u", 2, START, 100)
    said = [ShadowAnswer("a", 0.9, 0.2), ShadowAnswer("b", 0.8, 0.2)]
    assert keep_answers(conn, "u", 2, rows, said) == 2
    assert keep_answers(conn, "u", 2, rows, said) == 0
    assert waiting(conn) == []
    now = standing(conn)
    assert (now.state, now.answered, now.differing, now.failed) == ("answers", 2, 1, 0)
    assert conn.execute("SELECT count(*) FROM shadow_answer").fetchone() == (2,)


def test_a_failure_is_no_difference(conn: psycopg.Connection) -> None:
    log(conn, ["1", AUDITED.format(1)])
    assert answer(conn, None, "ValueError: no") == 2
    now = standing(conn)
    assert (now.answered, now.audited, now.differing, now.failed) == (2, 1, 0, 2)


def test_a_version_that_is_not_asked_any_more_keeps_nothing(conn: psycopg.Connection) -> None:
    log(conn, ["1"])
    rows = read_waiting(conn, "u", 2, START, 100)
    write_standing(conn, "u", "challenger", 3, "starting")
    assert keep_answers(conn, "u", 2, rows, [ShadowAnswer("a", 1.0, 1.0)]) == 0
    assert standing(conn).answered == 0


def test_another_version_is_counted_anew_and_the_same_is_not(conn: psycopg.Connection) -> None:
    log(conn, ["1"])
    answer(conn, "b")
    write_costs(conn, "u", 2, 0.2, 1, 0.1)
    write_standing(conn, "u", "challenger", 2, "hangs", "it took over 30 s")
    now = standing(conn)
    assert (now.state, now.why, now.answered) == ("hangs", "it took over 30 s", 1)
    assert now.alone_ms == pytest.approx(0.2)
    write_standing(conn, "u", "challenger", 3, "starting")
    now = standing(conn)
    assert (now.version, now.answered, now.differing, now.alone_ms, now.why) == (3, 0, 0, None, None)
    assert waiting(conn, version=3) == ["1"]


@pytest.mark.parametrize("state", ["broken", "hangs", "ends"])
def test_what_was_given_up_is_tried_again_when_somebody_asks(conn: psycopg.Connection, state: str) -> None:
    assert not ask_again(conn, "u")
    write_standing(conn, "u", "challenger", 2, state, "why")  # type: ignore[arg-type]
    assert ask_again(conn, "u")
    assert (standing(conn).state, standing(conn).why) == ("asked", None)


def test_what_became_too_old_is_counted_once(conn: psycopg.Connection) -> None:
    log(conn, [str(number) for number in range(10)])
    log(conn, ["own"], version=2, after=3.5)
    log(conn, ["new"], after=29)
    rows = read_waiting(conn, "u", 2, START, 100)
    keep_answers(conn, "u", 2, rows[:3], [ShadowAnswer("a", 1.0, 1.0)] * 3)  # new, 9 and 8
    newest = START + timedelta(seconds=29)
    for _ in range(2):
        count_left_out(conn, "u", 2, newest)
        assert standing(conn).left_out == 8, "of those before the ninth second; 0 to 7 have no answer"
    count_left_out(conn, "u", 2, newest - timedelta(seconds=9))
    assert standing(conn).left_out == 8, "a clock that goes back counts nothing twice"


def test_the_newest_are_told_with_what_they_say_instead(conn: psycopg.Connection) -> None:
    log(conn, ["1", "2"])
    answer(conn, "b")
    log(conn, ["3"], after=2)
    answer(conn, "c")
    log(conn, ["4"], after=3)
    answer(conn, "a")
    log(conn, ["5"], after=4)
    answer(conn, None, "ValueError: no")
    newest = read_newest(conn, "u", 2, START)
    assert (newest.rows, newest.differing, newest.ms) == (5, 3, 0.25)
    assert [(pair.served, pair.shadow, pair.count) for pair in newest.pairs] == [("a", "b", 2), ("a", "c", 1)]
    assert [(one.kind, one.count, one.example) for one in newest.failures] == [
        ("ValueError", 1, "ValueError: no")
    ]
    assert newest.served_scores[50] == 4
    assert newest.shadow_scores[90] == 4
    assert newest.served_scores.sum() == newest.shadow_scores.sum() == 4


def test_labels_tell_who_was_right(conn: psycopg.Connection) -> None:
    drawn = [AUDITED.format(16 * number + 1) for number in range(4)]
    others = [AUDITED.format(16 * number) for number in range(2)]
    log(conn, [*drawn, *others])
    rows = sorted(read_waiting(conn, "u", 2, START, 100), key=lambda one: one.id)
    said = {drawn[0]: "a", drawn[1]: "a", drawn[2]: "b", drawn[3]: None, others[0]: "b", others[1]: "b"}
    keep_answers(
        conn, "u", 2, rows,
        [ShadowAnswer(said[one.id], 0.9, 0.1, None if said[one.id] else "ValueError: no") for one in rows],
    )  # fmt: skip
    truth = {drawn[0]: "a", drawn[1]: "c", drawn[2]: "b", drawn[3]: "a", others[0]: "b"}
    for name, label in truth.items():
        conn.execute(
            "INSERT INTO feedback (use_case, identity, record, label, prediction_id, said_by)"
            """ VALUES ('u', %s, '{"x": 1}', %s, %s, 'shop')""",
            (f"p:{name}", label, name),
        )
    early = datetime.fromtimestamp(0, UTC)
    counts = read_labelled(conn, "u", 2, early)
    assert counts[True] == LabelledCounts(both=1, served_only=1, shadow_only=1, neither=1)
    assert counts[False] == LabelledCounts(shadow_only=1)
    conn.execute("INSERT INTO label_source (use_case, name, held_since) VALUES ('u', 'shop', now())")
    assert read_labelled(conn, "u", 2, early)[True].rows == 0, "what a held source says does not count"


def test_what_a_wrong_clock_has_logged_hides_nothing(conn: psycopg.Connection) -> None:
    log(conn, ["1", "2"])
    log(conn, ["of next year"], after=365 * 86_400)
    log(conn, ["of a clock ahead"], after=30)
    assert newest_prediction(conn, "u") == START + timedelta(seconds=30)


def test_ids_of_a_waiting_record_are_what_was_logged(conn: psycopg.Connection) -> None:
    log(conn, ["1"])
    assert read_waiting(conn, "u", 2, START, 1) == [Waiting("1", '{"x": 1}', "a", 0.5, START)]
