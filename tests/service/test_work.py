"""A worker that answers jobs and nothing else, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import psycopg

from configs.settings import CHECKOUT
from service.answers.responses import PredictionIds
from store import jobs
from store.service_replicas import read_replicas
from tests.ports import closed_port
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import put_in_cache
from tests.service.swap.test_watcher import wait_for

DIGITS = USE_CASES["digits"]


def test_jobs_are_answered_by_a_process_without_a_port(
    tmp_path: Path, database_url: str, conn: psycopg.Connection
) -> None:
    put_in_cache(tmp_path / "home", DIGITS, 1, serving=1)
    ids = PredictionIds().take(40, 1)
    for job_id in ids:
        jobs.submit_job(conn, "digits", job_id, orjson.dumps({"records": [record_of(DIGITS)]}), 1)
    environment = {
        "RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": database_url,
        "RATCHET_MLFLOW_PORT": str(closed_port()), "RATCHET_USE_CASES": "digits",
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.work"],
            env=os.environ | environment, cwd=CHECKOUT, stdout=log, stderr=log,
        )  # fmt: skip
    try:

        def done() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            states = [jobs.find_job(conn, "digits", job_id) for job_id in ids]
            return all(state is not None and state.state == "done" for state in states)

        wait_for(done, 60)
        assert read_replicas(conn) == []  # it is no server: nobody can ask it
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)
    answers = [jobs.find_job(conn, "digits", job_id) for job_id in ids]
    given = [orjson.loads(one.answer or b"")["predictions"][0]["id"] for one in answers if one is not None]
    assert sorted(given) == sorted(row[0] for row in conn.execute("SELECT id FROM prediction"))
    assert len(set(given)) == len(ids)
