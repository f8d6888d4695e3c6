"""Processes of this machine: what they share and report, and what becomes of work whose process is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.compute.address import read_compute
from configs.settings import read_settings
from flows.batch import asking
from flows.compute import inside
from flows.compute.columns import pack_columns, unpack_columns
from flows.compute.contract import as_done
from flows.compute.errors import WorkLost
from flows.compute.local import LocalPool
from models.errors import EstimatorUnavailable, ModelError
from models.versions.predictor import Predictor
from tests.service.conftest import USE_CASES
from tests.service.tiny import example_columns, make_artifact


def look(number: int, shared: Any) -> tuple[int, int, str | None]:
    inside.reporter("numbers")(number=number)
    return number + inside.value_of(shared)["more"], os.getpid(), os.environ.get("OMP_NUM_THREADS")


def die_once(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise EstimatorUnavailable("mypackage:Net", "it is not installed")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[LocalPool]:
    made = LocalPool(2, tmp_path / "work")
    yield made
    made.close()
    assert list((tmp_path / "work").iterdir()) == []


def test_work_is_done_side_by_side_with_what_is_shared(pool: LocalPool) -> None:
    heard: list[int] = []
    pool.listen("numbers", lambda told: heard.append(told["number"]))
    shared = pool.share({"more": 100})
    found = dict(as_done(pool, look, ((number, (number, shared)) for number in range(8))))
    assert {key: one[0] for key, one in found.items()} == {number: number + 100 for number in range(8)}
    assert {one[2] for one in found.values()} == {"1"}
    until = time.monotonic() + 10
    while len(heard) < 8 and time.monotonic() < until:
        time.sleep(0.02)
    assert sorted(heard) == list(range(8))


def test_no_more_is_taken_than_can_be_begun_soon(pool: LocalPool) -> None:
    taken: list[int] = []

    def work() -> Iterator[tuple[int, tuple[Any, ...]]]:
        for number in range(100):
            taken.append(number)
            yield number, (number,)

    results = as_done(pool, abs, work(), ahead=1)
    next(results)
    assert len(taken) <= 4
    results.close()  # type: ignore[attr-defined]


def test_what_a_lost_process_had_is_done_by_another(pool: LocalPool, tmp_path: Path) -> None:
    assert pool.submit(die_once, tmp_path / "mark").result(60) == "done"
    with pytest.raises(WorkLost, match="begun 3 times"):
        pool.submit(die).result(60)
    assert pool.submit(abs, -1).result(60) == 1


def test_an_error_that_cannot_travel_keeps_kind_and_sentence(pool: LocalPool) -> None:
    with pytest.raises(ModelError, match=r"'mypackage:Net' is not to be had: it is not installed"):
        pool.submit(refuse).result(60)


def test_what_is_not_done_when_a_pool_closes_is_given_up(tmp_path: Path) -> None:
    made = LocalPool(1, tmp_path)
    waiting = [made.submit(time.sleep, 60) for _ in range(3)]
    made.close()
    assert all(one.cancelled() or isinstance(one.exception(5), WorkLost) for one in waiting)


def test_many_records_are_asked_about_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "CHUNK_ROWS", 7)
    monkeypatch.setattr(asking, "MANY_ROWS", 20)
    plans = USE_CASES["plans"]
    artifact = make_artifact(tmp_path / "1", plans, seed=1)
    predictor, columns = Predictor.load(artifact), example_columns(plans, 30)
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_COMPUTE": "local:2"})
    asked = asking.ask_many(settings, plans, predictor, artifact, columns)
    np.testing.assert_array_equal(asked.probabilities, predictor.predict(columns).probabilities)
    assert not list((tmp_path / "home" / "work").iterdir())


def test_columns_travel_exactly() -> None:
    columns = {
        "text": np.array(["a", None, "", "ü", "a"], dtype=object),
        "none": np.array([None, None, None, None, None], dtype=object),
        "number": np.array([1.5, np.nan, -0.0, 3, 4]),
        "time": np.array(["2026-01-01", "NaT", "2026-01-02", "NaT", "NaT"], dtype="datetime64[us]"),
        "image": np.arange(5 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2),
    }
    back = unpack_columns(pack_columns(columns))
    for name, column in columns.items():
        assert back[name].dtype == column.dtype
        np.testing.assert_array_equal(back[name], column)
    assert back["text"][0] is back["text"][4]


@pytest.mark.parametrize(
    "text", ["", "dask://", "dask://h", "dask://h:0", "dask://h:99999", "http://h:1", "local:0", "local:-1",
             "tcp://h:8786", "dask://u:p@h:1", "local:257"],
)  # fmt: skip
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: local, local:N"):
        read_compute(text)


def test_addresses_are_read() -> None:
    assert read_compute("dask://[::1]:8786").scheduler == "tcp://[::1]:8786"
    assert read_compute("tls://dask.example:8786").scheduler == "tls://dask.example:8786"
    assert read_compute("local").processes is None
