"""Files answered by several processes: as by one, and once each, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from configs.settings import CHECKOUT
from flows.batch.parts import begun_version, parts_folder
from flows.batch.predict_file import AnsweredBy, FileProgress, predict_file
from flows.compute.local import LocalPool
from models.versions.predictor import Predictor
from store.database.connection import connect
from store.errors import FileBusy
from store.file_answers import AnsweredPart, FileLedger
from tests.dask_clusters import dask_processes
from tests.flows.batch.test_predict_file import PLANS, read, rows_of, write
from tests.poolers import needs_pgbouncer, pooled
from tests.service.tiny import make_artifact

ROWS = 6000
CALL = """
import sys, time
from pathlib import Path
import features.files.readers.parquet as parquet
from flows.batch import answering, predict_file as whole
from flows.compute.local import LocalPool
from models.versions.predictor import Predictor
from store.database.connection import connect
from store.file_answers import FileLedger

def main():
    parquet.BATCH_ROWS = 256
    folder, url, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    pool = LocalPool(workers, folder)
    by = whole.AnsweredBy(pool, folder / "version", folder)
    def say(now):
        print(now.rows, flush=True)
        time.sleep(0.05)
    with connect(url, autocommit=True) as conn:
        report = whole.predict_file(
            Predictor.load(folder / "version"), 1, folder / "in.parquet", folder / "out.csv",
            ledger=FileLedger(conn, "plans"), by=by, progress=say,
        )
    pool.close()
    print("done", report.rows, report.resumed, flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a version and a file."""
    make_artifact(tmp_path / "version", PLANS, seed=1)
    write(tmp_path / "in.parquet", rows_of(ROWS))
    return tmp_path


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.files.readers.parquet.BATCH_ROWS", 256)


def expected(folder: Path) -> list[dict[str, Any]]:
    predict_file(Predictor.load(folder / "version"), 1, folder / "in.parquet", folder / "expected.csv")
    return read(folder / "expected.csv")


def parts_of(database_url: str) -> list[tuple[int, int, str]]:
    """Number, rows and doer of each part that the ledger has, of all calls."""
    with connect(database_url) as conn:
        return conn.execute(
            "SELECT number, rows, answered_by FROM file_answering_part ORDER BY number"
        ).fetchall()


@pytest.mark.usefixtures("small_batches")
def test_two_processes_answer_as_threads_do(folder: Path, database_url: str) -> None:
    pool = LocalPool(2, folder)
    try:
        with connect(database_url, autocommit=True) as conn:
            report = predict_file(
                Predictor.load(folder / "version"), 1, folder / "in.parquet", folder / "out.csv",
                ledger=FileLedger(conn, "plans"), by=AnsweredBy(pool, folder / "version", folder),
            )  # fmt: skip
            finished = conn.execute(
                "SELECT rows, refused FROM file_answering WHERE finished_at > now() - '1h'::interval"
            ).fetchall()
    finally:
        pool.close()
    assert (report.rows, report.refused, report.resumed) == (ROWS, 0, 0)
    assert read(folder / "out.csv") == expected(folder)
    found = parts_of(database_url)
    assert [number for number, _, _ in found] == list(range(-(-ROWS // 256)))
    assert sum(rows for _, rows, _ in found) == ROWS
    assert len({doer for _, _, doer in found}) == 2
    assert finished == [(ROWS, 0)]
    assert not parts_folder(folder / "out.csv").exists()


def start(folder: Path, database_url: str) -> subprocess.Popen[str]:
    script = folder / "call.py"
    script.write_text(CALL, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), database_url, "2"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.faults
@pytest.mark.parametrize("killed", ["call", "worker"])
def test_a_kill_loses_no_row_and_doubles_none(folder: Path, database_url: str, killed: str) -> None:
    call = start(folder, database_url)
    assert call.stdout is not None
    for line in call.stdout:
        if int(line) >= 1500:
            break
    children = psutil.Process(call.pid).children()
    workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    if killed == "call":
        os.kill(call.pid, signal.SIGKILL)
        call.communicate(timeout=30)
        _, left = psutil.wait_procs(workers, timeout=30)
        assert left == []
        done = sum(rows for _, rows, _ in parts_of(database_url))
        assert 1500 <= done < ROWS
        assert begun_version(folder / "in.parquet", folder / "out.csv") == 1
        call = start(folder, database_url)
    else:
        done = 0
        workers[0].kill()
    said, _ = call.communicate(timeout=120)
    assert call.returncode == 0
    assert said.splitlines()[-1] == f"done {ROWS} {done}"
    assert read(folder / "out.csv") == expected(folder)
    found = parts_of(database_url)
    assert [number for number, _, _ in found] == list(range(-(-ROWS // 256)))
    assert sum(rows for _, rows, _ in found) == ROWS


@pytest.mark.usefixtures("small_batches")
def test_a_part_whose_file_was_cut_is_answered_again(folder: Path, database_url: str) -> None:
    predictor, output = Predictor.load(folder / "version"), folder / "out.csv"

    class CutOff(Exception):
        pass

    def cut(now: FileProgress) -> None:
        if now.rows >= 1024:
            raise CutOff

    with (
        connect(database_url, autocommit=True) as conn,
        closing(FileLedger(conn, "plans")) as ledger,
        pytest.raises(CutOff),
    ):
        predict_file(predictor, 1, folder / "in.parquet", output, progress=cut, ledger=ledger)
    part = parts_folder(output) / "000002.parquet"
    part.write_bytes(part.read_bytes()[:-7])
    with connect(database_url, autocommit=True) as conn:
        report = predict_file(predictor, 1, folder / "in.parquet", output, ledger=FileLedger(conn, "plans"))
    assert report.resumed == 3 * 256
    assert read(output) == expected(folder)


def test_two_calls_do_not_answer_into_one_output(database_url: str) -> None:
    with connect(database_url, autocommit=True) as one, connect(database_url, autocommit=True) as other:
        ledger = FileLedger(one, "plans")
        assert ledger.open(None, 1, "in.csv", "/out.csv") == {}
        with pytest.raises(FileBusy, match=r"another process answers a file into /out\.csv"):
            FileLedger(other, "plans").open(None, 1, "in.csv", "/out.csv")
        part = AnsweredPart(0, 1, 10, 0, "d", "me", 0.1)
        assert ledger.acknowledge(part)
        assert not ledger.acknowledge(part)


@needs_pgbouncer
def test_one_call_at_a_time_answers_into_an_output_behind_a_pooler(database_url: str, tmp_path: Path) -> None:
    """Whose sessions go to whoever asks next, with the locks that they hold."""
    with (
        pooled(database_url, tmp_path / "pooler", size=8) as url,
        connect(url, autocommit=True) as first,
        connect(url, autocommit=True) as second,
    ):
        ledger = FileLedger(first, "plans")
        ledger.open(None, 1, "in.csv", "/out.csv")
        for _ in range(4):
            with pytest.raises(FileBusy), closing(FileLedger(second, "plans")) as other:
                other.open(None, 1, "in.csv", "/out.csv")
        ledger.close()
        for _ in range(4):
            with closing(FileLedger(second, "plans")) as other:
                other.open(None, 1, "in.csv", "/out.csv")


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
def test_dask_workers_without_a_shared_folder_answer_as_threads_do(folder: Path, database_url: str) -> None:
    from configs.compute.address import read_compute
    from flows.compute.cluster import connect as connect_to

    with dask_processes(folder / "dask", 2) as cluster:
        pool = connect_to(read_compute(cluster.address))
        try:
            with connect(database_url, autocommit=True) as conn:
                predict_file(
                    Predictor.load(folder / "version"), 1, folder / "in.parquet", folder / "out.csv",
                    ledger=FileLedger(conn, "plans"), by=AnsweredBy(pool, folder / "version", folder),
                    progress=lambda _: time.sleep(0.02),
                )  # fmt: skip
        finally:
            pool.close()
    assert read(folder / "out.csv") == expected(folder)
    assert {doer.partition(" at ")[0] for _, _, doer in parts_of(database_url)} == {"worker-0", "worker-1"}
