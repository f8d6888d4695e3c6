"""Ids sort and never repeat; bodies are JSON; lines are what PostgreSQL will read."""

from __future__ import annotations

import uuid

import hypothesis.strategies as st
import numpy as np
import orjson
import pytest
from hypothesis import given, settings

from service.answers import PredictionIds, Renderer
from service.payloads import Incoming

CLASSES = ("plain", 'quo"te', "back\\slash", "100 %", "tab\there", "ümläut")


def incoming(count: int, ids: list[str | int | None] | None = None) -> Incoming:
    return Incoming(count, [], None, ids, None)


def test_ids_are_version_7_sort_by_time_and_never_repeat() -> None:
    ids = PredictionIds()
    taken = [
        name for now in (1_700_000_000_000, 1_700_000_000_001) for name in ids.take(3000, now * 1_000_000)
    ]
    assert len(set(taken)) == 6000
    assert max(taken[:3000]) < min(taken[3000:])
    assert {uuid.UUID(name).version for name in taken} == {7}
    assert {uuid.UUID(name).variant for name in taken} == {uuid.RFC_4122}
    assert set(taken).isdisjoint(PredictionIds().take(3000, 1_700_000_000_000 * 1_000_000))


def test_each_request_gets_its_own_rows() -> None:
    probabilities = np.array([[0.75, 0.25], [0.125, 0.875], [0.5, 0.5]], dtype=np.float32)
    renderer = Renderer("case", 3, ("no", "yes"), PredictionIds())
    first, second = renderer.render([incoming(1), incoming(2, ["mine", None])], probabilities, ["{}"] * 3)
    assert orjson.loads(first.body) == {
        "predictions": [
            {"id": first.ids[0], "label": "no", "score": 0.75, "scores": {"no": 0.75, "yes": 0.25}}
        ],
        "model": {"name": "case", "version": 3, "source": "model"},
    }
    answers = orjson.loads(second.body)["predictions"]
    assert [answer["label"] for answer in answers] == ["yes", "no"]
    assert answers[0]["record_id"] == "mine"
    assert "record_id" not in answers[1]
    assert [answer["id"] for answer in answers] == second.ids


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=len(CLASSES), max_size=len(CLASSES)),
        min_size=1,
        max_size=4,
    )
)
def test_numbers_come_back_as_they_were(data: list[list[float]]) -> None:
    probabilities = np.array(data, dtype=np.float32)
    renderer = Renderer("case", 1, CLASSES, PredictionIds())
    (answer,) = renderer.render([incoming(len(data))], probabilities, ["{}"] * len(data))
    for row, prediction in zip(probabilities, orjson.loads(answer.body)["predictions"], strict=True):
        assert tuple(prediction["scores"]) == CLASSES
        assert [np.float32(value) for value in prediction["scores"].values()] == row.tolist()
        assert prediction["label"] == CLASSES[int(row.argmax())]
        assert np.float32(prediction["score"]) == row.max()


def test_an_answer_that_is_no_number_is_not_given() -> None:
    renderer = Renderer("case", 1, ("no", "yes"), PredictionIds())
    with pytest.raises(FloatingPointError):
        renderer.render([incoming(1)], np.array([[np.nan, 1.0]], dtype=np.float32), ["{}"])
