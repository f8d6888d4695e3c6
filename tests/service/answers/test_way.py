"""A record takes the way that docs/code.md says: no function more, none less."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from configs.settings import CHECKOUT
from tests.docs.test_code import RECORD
from tests.docs.ways import steps_of
from tests.service.conftest import Service

PATH = "/v1/digits/predict"
BODY = {"records": [{"image": [[(row * column) % 256 for column in range(28)] for row in range(28)]}]}
LATER = {("service/metrics.py", f"{log}.write") for log in ("RequestLog", "BatchLog")}
"""They run when their time has come, whoever is being answered then."""


def entered(service: Service) -> list[tuple[str, str]]:
    """File and name of every named function of ours that one request for a prediction enters."""
    calls: list[tuple[str, str]] = []
    inside = ("/configs/", "/features/", "/store/", "/models/", "/service/")

    def note(frame: FrameType, event: str, _arg: Any) -> None:
        code = frame.f_code
        path = code.co_filename.removeprefix(str(CHECKOUT))
        if event == "call" and path.startswith(inside) and not code.co_name.startswith("<"):
            calls.append((path[1:], code.co_qualname.replace(".<locals>", "")))

    async def trace(hook: Any) -> None:
        sys.setprofile(hook)

    service.run(trace(note))
    try:
        assert service.post(PATH, BODY).status_code == 200
    finally:
        service.run(trace(None))
    return [call for call in dict.fromkeys(calls) if call not in LATER]


def test_a_record_takes_the_way_that_the_page_says(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    # A batch that takes long runs in a thread, as it may on a busy machine.
    monkeypatch.setattr("service.answers.batcher.INLINE_SECONDS", 60.0)
    for _ in range(2):  # the first request finds the routes, and measures the model
        assert service.post(PATH, BODY).status_code == 200
    listed = [(step.file, name) for step in steps_of(RECORD) for name in step.functions]
    assert sorted(entered(service)) == sorted(listed)
