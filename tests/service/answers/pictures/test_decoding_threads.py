"""Pictures are decoded in a thread, through whichever door they come: on the loop everybody would wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from configs.schema import FieldConfig, RecordConfig
from features.records.contract import LabelContract, RecordContract
from service.answers.requests import RequestReader
from service.routes.answers import predict_record
from tests.service.conftest import USE_CASES, Service, record_of

DIGITS = USE_CASES["digits"]


@pytest.fixture
def threads(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which requests for digits are read, as if these were pictures of any size."""
    found: list[threading.Thread] = []
    reader = service.worker.slots["digits"].pipeline().reader
    reader.decodes_pictures = True
    for name in ("read", "check"):
        monkeypatch.setattr(reader, name, _noting(getattr(reader, name), found))
    return found


def _noting(read: Any, found: list[threading.Thread]) -> Any:
    def noted(*arguments: Any) -> Any:
        found.append(threading.current_thread())
        return read(*arguments)

    return noted


@pytest.mark.parametrize("door", ["predict", "predictions", "bentoml"])
def test_every_door_reads_pictures_in_a_thread(
    service: Service, threads: list[threading.Thread], door: str
) -> None:
    record = record_of(DIGITS)
    if door == "bentoml":
        service.run(predict_record(service.worker.slots, "digits", record))
    else:
        assert service.post(f"/v1/digits/{door}", {"records": [record]}).status_code in (200, 202)
    of_loop = service.run(_here())
    assert threads
    assert of_loop not in threads


async def _here() -> threading.Thread:
    return threading.current_thread()


@pytest.mark.parametrize(
    ("shape", "resize", "long"),
    [
        ((28, 28), None, False),
        ((28, 28), "fit", True),
        ((32, 32, 3), None, False),
        ((512, 512, 3), None, True),
    ],
)
def test_pictures_of_any_size_or_of_a_large_one_take_long(
    shape: tuple[int, ...], resize: Any, long: bool
) -> None:
    field = FieldConfig(name="photo", type="image", shape=shape, resize=resize)
    contract = RecordContract(RecordConfig(fields=(field,)))
    reader = RequestReader(contract, LabelContract(DIGITS.target, ()), 10)
    assert reader.decodes_pictures is long
