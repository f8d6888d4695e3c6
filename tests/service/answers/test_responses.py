"""Ids sort and never repeat; bodies are JSON; lines are what PostgreSQL will read."""

from __future__ import annotations

import uuid

import hypothesis.strategies as st
import numpy as np
import orjson
import pytest
from hypothesis import given, settings

from service.answers.requests import PredictRequest
from service.answers.responders import Source
from service.answers.responses import PredictionIds, ResponseWriter
from store.predictions.audits import is_audited
from tests.service.responders import responder_of

CLASSES = ("plain", 'quo"te', "back\\slash", "100 %", "tab\there", "ümläut")
THREE = np.array([[0.75, 0.25], [0.125, 0.875], [0.5, 0.5]], dtype=np.float32)


def incoming(count: int, ids: list[str | int | None] | None = None) -> PredictRequest:
    return PredictRequest(count, [], None, ids, None)


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


@pytest.mark.parametrize(("audit", "least", "most"), [(0.0, 0, 0), (0.05, 350, 650), (1.0, 10_000, 10_000)])
def test_a_share_of_answers_says_that_it_is_audited_and_so_does_its_id(
    audit: float, least: int, most: int
) -> None:
    writer = ResponseWriter("case", 3, PredictionIds(), audit=audit)
    answers = responder_of(("no", "yes")).encode(np.repeat(THREE[:1], 10_000, axis=0))
    (response,) = writer.write([incoming(10_000)], answers, [b"{}"] * 10_000)
    predictions = orjson.loads(response.body)["predictions"]
    told = [one["id"] for one in predictions if "audit" in one]
    assert all(one["audit"] is True for one in predictions if "audit" in one)
    assert told == [one for one in response.ids if is_audited(one)]
    assert least <= len(told) <= most
    assert {uuid.UUID(name).variant for name in response.ids} == {uuid.RFC_4122}
    assert response.ids == sorted(response.ids)


def test_an_audited_answer_of_a_chain_keeps_its_source() -> None:
    writer = ResponseWriter("case", 3, PredictionIds(), audit=1.0)
    answers = responder_of(("no", "yes")).encode(THREE)._replace(sources=[Source("second", 2)] * 3)
    (response,) = writer.write([incoming(3, ["mine", None, 3])], answers, [b"{}"] * 3)
    first = orjson.loads(response.body)["predictions"][0]
    assert list(first) == ["id", "record_id", "label", "score", "scores", "audit", "source"]


def test_each_request_gets_its_own_rows() -> None:
    writer = ResponseWriter("case", 3, PredictionIds())
    answers = responder_of(("no", "yes")).encode(THREE)
    first, second = writer.write([incoming(1), incoming(2, ["mine", None])], answers, [b"{}"] * 3)
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
    assert [line.split(b"\t")[7:9] for line in second.log_lines] == [[b"3", b"model"]] * 2


def test_sources_are_told_and_logged_with_the_version_behind_them() -> None:
    writer = ResponseWriter("case", 3, PredictionIds())
    sources = [Source("trained", 3), Source("second", 2), Source("keywords", None)]
    answers = responder_of(("no", "yes")).encode(THREE)._replace(sources=sources)
    first, second = writer.write([incoming(1), incoming(2, [7, 8])], answers, [b"{}"] * 3)
    alone, mixed = orjson.loads(first.body), orjson.loads(second.body)
    assert (alone["model"]["source"], mixed["model"]["source"]) == ("trained", "mixed")
    told_of = [one["source"] for one in alone["predictions"] + mixed["predictions"]]
    assert told_of == ["trained", "second", "keywords"]
    logged = [line.split(b"\t")[7:9] for line in [*first.log_lines, *second.log_lines]]
    assert logged == [[b"3", b"trained"], [b"2", b"second"], [b"\\N", b"keywords"]]


def test_sets_of_labels_are_lists_in_answers_and_one_text_in_the_log() -> None:
    classes = ("a\\b", "cs.LG", "stat.ML")
    probabilities = np.array([[0.1, 0.6, 0.9], [0.8, 0.1, 0.2]], dtype=np.float32)
    answers = responder_of(classes, (0.5, 0.5, 0.5)).encode(probabilities)
    (response,) = ResponseWriter("case", 1, PredictionIds(), "labels").write(
        [incoming(2)], answers, [b"{}"] * 2
    )
    first, second = orjson.loads(response.body)["predictions"]
    assert set(first) == {"id", "labels", "score", "scores"}
    assert (first["labels"], np.float32(first["score"])) == (["stat.ML", "cs.LG"], np.float32(0.9))
    assert second["labels"] == ["a\\b"]
    assert [line.split(b"\t")[4] for line in response.log_lines] == [b"cs.LG|stat.ML", b"a\\\\b"]


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
    answers = responder_of(CLASSES).encode(probabilities)
    (answer,) = ResponseWriter("case", 1, PredictionIds()).write(
        [incoming(len(data))], answers, [b"{}"] * len(data)
    )
    for row, prediction in zip(probabilities, orjson.loads(answer.body)["predictions"], strict=True):
        assert tuple(prediction["scores"]) == CLASSES
        assert [np.float32(value) for value in prediction["scores"].values()] == row.tolist()
        assert prediction["label"] == CLASSES[int(row.argmax())]
        assert np.float32(prediction["score"]) == row.max()
