"""Jobs: kept, taken by one worker at a time, answered once, and free again when a worker is gone."""

from __future__ import annotations

import threading
import time
import uuid

import psycopg
import pytest

from store import jobs
from store.database.connection import connect
from store.feedback.insertion import FeedbackBatch


def submit(conn: psycopg.Connection, records: int = 1, use_case: str = "u") -> str:
    job_id = str(uuid.uuid4())
    jobs.submit_job(conn, use_case, job_id, b"request of " + job_id.encode(), records)
    return job_id


def take(conn: psycopg.Connection, worker: str = "me", **more: float) -> list[jobs.TakenJob]:
    limits = {"most_jobs": 100, "most_records": 1000} | more
    return jobs.take_jobs(conn, "u", worker, **limits)  # type: ignore[arg-type]


def answered(job: jobs.TakenJob, answer: bytes = b"{}", status: int = 200) -> jobs.Settled:
    line = f'p-{job.id}-{job.attempts}\tu\t\\N\t{{"a": 1}}\tyes\t0.5\t{{}}\t1\tmodel\t2024-05-01T00:00:00Z\n'
    return jobs.Settled(job, status, answer, line.encode() if status < 400 else b"")


def state(conn: psycopg.Connection, job_id: str) -> str:
    found = jobs.find_job(conn, "u", job_id)
    assert found is not None
    return found.state


def predictions(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM prediction").fetchone()
    assert row is not None
    return int(row[0])


def test_the_life_of_a_job(conn: psycopg.Connection) -> None:
    job_id = submit(conn)
    assert state(conn, job_id) == "pending"
    (job,) = take(conn)
    assert (job.id, job.request, job.attempts) == (job_id, b"request of " + job_id.encode(), 1)
    assert state(conn, job_id) == "processing"
    assert take(conn, "another") == []
    assert jobs.finish_jobs(conn, "u", "me", [answered(job, b"answer")]) == 1
    found = jobs.find_job(conn, "u", job_id)
    assert found is not None
    assert (found.state, found.status, found.answer) == ("done", 200, b"answer")
    assert predictions(conn) == 1


def test_a_refused_job_keeps_its_own_status_and_body(conn: psycopg.Connection) -> None:
    job_id = submit(conn)
    (job,) = take(conn)
    jobs.finish_jobs(conn, "u", "me", [answered(job, b"error", 422)])
    found = jobs.find_job(conn, "u", job_id)
    assert found is not None
    assert (found.state, found.status, found.answer) == ("failed", 422, b"error")
    assert predictions(conn) == 0


@pytest.mark.parametrize("unknown", ["d86c913a-5fcf-448f-8ddb-198788f72c1e", "no uuid", "", "\x00", "é"])
def test_an_id_that_no_job_has(conn: psycopg.Connection, unknown: str) -> None:
    submit(conn)
    assert jobs.find_job(conn, "u", unknown) is None


def test_a_job_belongs_to_its_use_case(conn: psycopg.Connection) -> None:
    job_id = submit(conn, use_case="other")
    assert jobs.find_job(conn, "u", job_id) is None
    assert take(conn) == []


def test_a_job_that_is_sent_again_is_one_job(conn: psycopg.Connection) -> None:
    job_id = str(uuid.uuid4())
    first = jobs.submit_job(conn, "u", job_id, b"x", 1)
    assert jobs.submit_job(conn, "u", job_id, b"x", 1) == first
    assert len(take(conn)) == 1


def test_the_oldest_come_first_and_within_the_bounds(conn: psycopg.Connection) -> None:
    large, second, third, fourth = (submit(conn, records) for records in (50, 4, 4, 4))
    assert [job.id for job in take(conn, most_records=10)] == [large]
    assert {job.id for job in take(conn, most_records=10)} == {second, third}
    assert [job.id for job in take(conn, most_jobs=1)] == [fourth]


def test_many_takers_share_and_none_takes_twice(conn: psycopg.Connection, database_url: str) -> None:
    submitted = {submit(conn) for _ in range(60)}
    taken: list[str] = []

    def work(worker: str) -> None:
        with connect(database_url, autocommit=True) as own:
            while batch := take(own, worker, most_jobs=3):
                taken.extend(job.id for job in batch)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(taken) == sorted(submitted)


def test_a_job_is_free_when_the_connection_of_its_worker_is_gone(
    conn: psycopg.Connection, database_url: str
) -> None:
    job_id = submit(conn)
    with connect(database_url, autocommit=True) as own:
        jobs.show_life(own, "me")
        (first,) = take(own, lease_seconds=3600)
        assert jobs.free_jobs(conn) == 0
    until = time.monotonic() + 20
    while jobs.free_jobs(conn) == 0:  # the server sees the closed connection a moment later
        assert time.monotonic() < until
    assert state(conn, job_id) == "pending"
    (second,) = take(conn, "another")
    assert second.attempts == 2
    assert jobs.finish_jobs(conn, "u", "me", [answered(first)]) == 0
    assert predictions(conn) == 0
    assert jobs.finish_jobs(conn, "u", "another", [answered(second)]) == 1
    assert jobs.finish_jobs(conn, "u", "another", [answered(second)]) == 0
    assert predictions(conn) == 1


def test_a_job_is_free_when_its_lease_is_over(conn: psycopg.Connection) -> None:
    job_id = submit(conn)
    jobs.show_life(conn, "me")
    (late,) = take(conn, lease_seconds=0)
    assert jobs.free_jobs(conn) == 1
    assert state(conn, job_id) == "pending"
    assert jobs.finish_jobs(conn, "u", "me", [answered(late)]) == 0
    (again,) = take(conn)  # the same worker, but not the same lease
    assert jobs.finish_jobs(conn, "u", "me", [answered(late)]) == 0
    assert jobs.finish_jobs(conn, "u", "me", [answered(again)]) == 1


def test_a_lease_of_before_the_clock_was_set_back_is_over_as_soon_as_any(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(conn)
    take(conn, "lease:another")
    conn.execute("UPDATE job SET lease_until = lease_until + interval '2 hours'")
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 0.2)
    assert jobs.free_jobs(conn) == 0, "who has it may be at it"
    time.sleep(0.3)
    assert jobs.free_jobs(conn) == 1
    assert state(conn, job_id) == "pending"


def test_what_the_database_refuses_leaves_the_jobs_as_they_were(conn: psycopg.Connection) -> None:
    submit(conn), submit(conn)
    first, second = take(conn)
    broken = jobs.Settled(second, 200, b"{}", b"not a row\n")
    with pytest.raises(psycopg.DataError):
        jobs.finish_jobs(conn, "u", "me", [answered(first), broken])
    assert predictions(conn) == 0
    assert {state(conn, first.id), state(conn, second.id)} == {"processing"}


def test_labels_are_stored_with_the_answer(conn: psycopg.Connection) -> None:
    submit(conn)
    (job,) = take(conn)
    batch = FeedbackBatch(["p:1"], ['{"a": 1}'], ["yes"], "http", prediction_id=["1"])
    jobs.finish_jobs(conn, "u", "me", [jobs.Settled(job, 200, b"{}", b"", batch)])
    assert conn.execute("SELECT label FROM feedback").fetchall() == [("yes",)]


def test_answers_expire_and_are_then_forgotten(conn: psycopg.Connection) -> None:
    old, new, waiting = submit(conn), submit(conn), submit(conn)
    for job in take(conn, most_jobs=2):
        jobs.finish_jobs(conn, "u", "me", [answered(job)])
    conn.execute("UPDATE job SET finished_at = now() - interval '25 hours' WHERE id = %s", (old,))
    assert jobs.expire_jobs(conn, "u", keep_hours=24) == 1
    assert jobs.expire_jobs(conn, "u", keep_hours=24) == 0
    found = jobs.find_job(conn, "u", old)
    assert found is not None
    assert (found.state, found.answer) == ("expired", None)
    assert (state(conn, new), state(conn, waiting)) == ("done", "pending")
    conn.execute("UPDATE job SET finished_at = now() - interval '9 days' WHERE id = %s", (old,))
    jobs.expire_jobs(conn, "u", keep_hours=24)
    assert jobs.find_job(conn, "u", old) is None
