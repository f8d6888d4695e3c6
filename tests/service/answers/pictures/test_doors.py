"""Whichever way a picture comes in, it is decoded in a thread for pictures: the event loop goes on."""

from __future__ import annotations

import base64
import threading
from typing import Any

import orjson
import pytest
from PIL import Image

from features.records import image_field
from features.records.pictures.decoding import decode
from service.answers.decoding import Lane
from service.http.exchange import SMALL_BODY
from service.routes.answers import predict_record
from tests.features.records.pictures.odd import saved
from tests.service.conftest import USE_CASES, Service, record_of

PICTURE = base64.b64encode(saved(Image.new("L", (28, 28), 200))).decode()
PADDING = b" " * SMALL_BODY
DOORS = {
    "predict": {"records": [{"image": PICTURE}]},
    "predictions": {"records": [{"image": PICTURE}]},
    "invocations": {"dataframe_split": {"columns": ["image"], "data": [[PICTURE]]}},
    "feedback": {"items": [{"record": {"image": PICTURE}, "label": "7"}]},
    "train": {"items": [{"record": {"image": PICTURE}, "label": "7"}]},
}


@pytest.fixture
def decoded_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that pictures were decoded in."""
    names: list[str] = []

    def watched(*args: Any) -> Any:
        names.append(threading.current_thread().name)
        return decode(*args)

    monkeypatch.setattr(image_field, "decode", watched)
    return names


@pytest.mark.parametrize("door", sorted(DOORS.keys() - {"predictions"}))
def test_a_picture_is_decoded_off_the_loop(service: Service, decoded_in: list[str], door: str) -> None:
    response = service.post(f"/v1/digits/{door}", content=PADDING + orjson.dumps(DOORS[door]))
    assert response.status_code in (200, 202), response.text
    assert len(decoded_in) == 1 and decoded_in[0].startswith("pictures")


def test_a_job_is_checked_off_the_loop_and_answered_by_the_thread_of_jobs(
    service: Service, decoded_in: list[str]
) -> None:
    response = service.post("/v1/digits/predictions", DOORS["predictions"])
    assert response.status_code == 202
    assert decoded_in[0].startswith("pictures")
    assert set(decoded_in[1:]) <= {"jobs"}


def test_one_decoded_record_is_checked_off_the_loop(service: Service, decoded_in: list[str]) -> None:
    response = service.run(predict_record(service.worker.slots, "digits", {"image": PICTURE}))
    assert response.ids
    assert [name[:8] for name in decoded_in] == ["pictures"]


def test_arrays_of_a_shape_without_resize_take_no_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "run", lambda *_: pytest.fail("it waited for its turn"))
    image = [[0] * 28] * 28
    assert service.post("/v1/digits/predict", {"records": [{"image": image}]}).status_code == 200
    items = [{"record": {"image": image}, "label": "7"}]
    assert service.post("/v1/digits/feedback", {"items": items}).status_code == 200


def test_where_too_many_wait_all_doors_say_so_and_other_use_cases_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = service.worker.decoding.lane("digits")
    monkeypatch.setattr(lane, "waiting", 10_000)
    for door in ("predict", "predictions", "invocations", "feedback", "train"):
        response = service.post(f"/v1/digits/{door}", content=PADDING + orjson.dumps(DOORS[door]))
        assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
        assert response.headers["retry-after"]
    plan = {"records": [record_of(USE_CASES["plans"])]}
    assert service.post("/v1/plans/predict", plan).status_code == 200
