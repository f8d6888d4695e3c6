"""A job for which there is no memory at that moment is answered later."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from store import jobs
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.jobs.test_intake import answer, submit

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]


def test_it_is_tried_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "take_jobs", partial(jobs.take_jobs, lease_seconds=0.3))
    monkeypatch.setattr(service.worker.job_loop, "_look_seconds", 0.1)
    predictor = service.worker.slots["digits"].serving().predictor
    whole, tried, may = predictor._runner, threading.Event(), threading.Event()

    def run(x: Any) -> Any:
        if not may.is_set():
            tried.set()
            raise MemoryError
        return whole(x)

    monkeypatch.setattr(predictor, "_runner", run)
    path = submit(service, DIGITS, [record_of(DIGITS)])
    assert tried.wait(10)
    assert service.get(path).status_code == 202
    may.set()
    assert answer(service, path).json()["model"]["version"] == 1
