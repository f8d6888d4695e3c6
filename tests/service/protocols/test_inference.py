"""The Open Inference Protocol: a published client gets the answers of predict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from configs.schema import UseCase
from service.protocols.inference import HEAD_LENGTH, render
from tests.contract.generate import make_records
from tests.service.answers.test_predict import predict, stored_label
from tests.service.conftest import USE_CASES, Service, StartService, record_of
from tests.service.hosting.listening import listening
from tests.service.openapi.test_document import body_schema, check, operation, response_schema
from tests.service.swap.test_watcher import wait_for

ROWS = 5
PLANS, DIGITS, PAPERS = USE_CASES["plans"], USE_CASES["digits"], USE_CASES["papers"]


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    with listening(service) as port, triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def make_inputs(
    records: list[dict[str, Any]], told: list[dict[str, Any]], *, binary: bool
) -> list[triton.InferInput]:
    """Tensors of the datatypes and shapes that the server told."""
    inputs = []
    for one in told:
        values = [record.get(one["name"]) for record in records]
        kind = triton_to_np_dtype(one["datatype"])
        array = np.array(["" if value is None else value for value in values], dtype=object)
        if one["datatype"] != "BYTES":
            array = np.array([np.nan if value is None else value for value in values], dtype=kind)
        assert list(array.shape[1:]) == one["shape"][1:]
        made = triton.InferInput(one["name"], array.shape, one["datatype"])
        inputs.append(made.set_data_from_numpy(array, binary_data=binary))
    return inputs


def infer(service: Service, use_case: UseCase, body: Any, **headers: str) -> Any:
    return service.post(f"/v2/models/{use_case.name}/infer", body, **headers)


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tritonclient_gets_the_answers_of_predict(
    service: Service, client: triton.InferenceServerClient, use_case: UseCase, binary: bool
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(use_case.name)
    assert client.is_model_ready(use_case.name, "1")
    assert not client.is_model_ready(use_case.name, "2")
    metadata = client.get_model_metadata(use_case.name, "1")
    assert metadata["versions"] == ["1"]
    records, _ = make_records(use_case, ROWS, seed=8)
    texts = {field.name for field in use_case.record.fields if field.type == "text"}
    records = [record | {name: record.get(name) or "" for name in texts} for record in records]
    inputs = make_inputs(records, metadata["inputs"], binary=binary)
    outputs = None if binary else [
        triton.InferRequestedOutput(one["name"], binary_data=False) for one in metadata["outputs"]
    ]  # fmt: skip
    result = client.infer(use_case.name, inputs, outputs=outputs, request_id="mine")
    expected = predict(service, use_case, records)["predictions"]
    answer = result.get_response()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (use_case.name, "1", "mine")
    assert texts_of(result, "label") == [stored_label(one) for one in expected]
    np.testing.assert_allclose(result.as_numpy("score"), [one["score"] for one in expected])
    scores = [list(one["scores"].values()) for one in expected]
    np.testing.assert_allclose(result.as_numpy("scores"), scores)
    assert texts_of(result, "classes") == list(expected[0]["scores"])
    shapes = {one["name"]: one["shape"] for one in metadata["outputs"]}
    assert list(result.as_numpy("scores").shape[1:]) == shapes["scores"][1:]
    assert len(set(texts_of(result, "id"))) == ROWS


def texts_of(result: Any, name: str) -> list[str]:
    values = result.as_numpy(name).tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def test_answers_are_logged(
    service: Service, conn: psycopg.Connection, client: triton.InferenceServerClient
) -> None:
    inputs = make_inputs([record_of(DIGITS)], client.get_model_metadata("digits")["inputs"], binary=True)
    result = client.infer("digits", inputs, outputs=[triton.InferRequestedOutput("id")])
    assert [one["name"] for one in result.get_response()["outputs"]] == ["id"]
    (name,) = texts_of(result, "id")
    wait_for(lambda: conn.execute("SELECT 1 FROM prediction WHERE id = %s", (name,)).fetchone() is not None)
    told = service.post("/v1/digits/feedback", {"items": [{"prediction_id": name, "label": "3"}]})
    assert told.json()["accepted"] == 1


def test_another_version_is_a_404_that_says_which_serves(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.get_model_metadata("digits", "7")
    assert str(refused.value) == "[404] version '7' of 'digits' is not served; served: 1"
    inputs = [triton.InferInput("image", (1, 28, 28), "UINT8")]
    inputs[0].set_data_from_numpy(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(InferenceServerException, match="is not served"):
        client.infer("digits", inputs, model_version="7")
    assert client.infer("digits", inputs, model_version="1").as_numpy("label").shape == (1,)
    with pytest.raises(InferenceServerException, match=r"\[404\] unknown use case 'nothing'"):
        client.get_model_metadata("nothing")
    with pytest.raises(InferenceServerException, match="input 'image': got datatype BYTES"):
        client.infer("digits", [_texts("image")])
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
    index = client.get_model_repository_index()
    assert {(one["name"], one["version"], one["state"]) for one in index} == {
        (name, "1", "READY") for name in USE_CASES
    }


def _texts(name: str) -> Any:
    made = triton.InferInput(name, (1,), "BYTES")
    return made.set_data_from_numpy(np.array(["a"], dtype=object))


def test_images_of_any_datatype_and_layout_are_the_same_image(service: Service) -> None:
    image = np.array(record_of(DIGITS)["image"], np.int64)
    flat = image.ravel().tolist()
    bodies = [
        {"inputs": [tensor("image", "UINT8", [1, 28, 28], flat)]},
        {"inputs": [tensor("image", "FP32", [1, 784], [float(level) for level in flat])]},
        {"inputs": [tensor("image", "INT64", [1, 28, 28, 1], [image[..., None].tolist()])]},
    ]
    answers = [infer(service, DIGITS, body).json()["outputs"][2]["data"] for body in bodies]
    for datatype, shape in (("FP16", [1, 1, 28, 28]), ("INT16", [1, 28, 28])):
        kind = np.dtype(triton_to_np_dtype(datatype))
        raw = image.astype(kind).tobytes()
        head = tensor("image", datatype, shape, None) | {"parameters": {"binary_data_size": len(raw)}}
        body = orjson.dumps({"inputs": [head]})
        response = infer(
            service, DIGITS, body + raw, inference_header_content_length=str(len(body)),
            content_type="application/octet-stream",
        )  # fmt: skip
        answers.append(response.json()["outputs"][2]["data"])
    assert [answer == answers[0] for answer in answers] == [True] * 5


def test_a_missing_value_is_a_nan_an_empty_text_or_no_tensor_at_all(service: Service) -> None:
    metadata = service.get("/v2/models/plans").json()
    record = record_of(PLANS) | {"total_charges": None, "churn": None}
    inputs = [tensor(one["name"], one["datatype"], [1], [record[one["name"]]]) for one in metadata["inputs"]]
    expected = predict(service, PLANS, [record])["predictions"][0]["scores"]
    nullable = ("total_charges", "churn")
    given = [one for one in inputs if one["name"] not in nullable]
    forms: list[list[dict[str, Any]]] = [
        [],
        [one for one in inputs if one["name"] in nullable],
        [tensor("churn", "BYTES", [1, 1], [""])],
    ]
    for form in forms:
        answer = infer(service, PLANS, {"inputs": given + form})
        assert answer.json()["outputs"][2]["data"] == list(expected.values()), answer.text
    with_nan = orjson.dumps({"inputs": [*given, tensor("total_charges", "FP64", [1], ["here"])]})
    answer = infer(service, PLANS, with_nan.replace(b'"here"', b"NaN"))
    assert answer.json()["outputs"][2]["data"] == list(expected.values())


IMAGE = tensor("image", "UINT8", [1, 28, 28], [0] * 784)


REFUSED: list[tuple[Any, int, str]] = [
    (b"{", 400, "not JSON"),
    ({}, 422, "the body: Object missing required field `inputs`"),
    ({"inputs": [{"name": 1}]}, 422, "field 'inputs[0].name': Expected `str`, got `int`"),
    ({"inputs": []}, 422, "got none; allowed: tensors of one number of records"),
    ({"inputs": [IMAGE, IMAGE]}, 422, "input 'image': got it twice"),
    ({"inputs": [IMAGE | {"name": "\ud800"}]}, 422, "unknown; allowed: image"),
    ({"inputs": [IMAGE], "id": "a\nb"}, 422, "field 'id'"),
    ({"inputs": [IMAGE | {"datatype": "BF16"}]}, 422, "got datatype 'BF16'; allowed: BOOL"),
    ({"inputs": [IMAGE | {"datatype": "BYTES"}]}, 422, "got datatype BYTES; allowed: UINT8"),
    ({"inputs": [IMAGE | {"shape": []}]}, 422, "got shape []"),
    ({"inputs": [IMAGE | {"shape": [1, 28, -28]}]}, 422, "got shape [1, 28, -28]"),
    ({"inputs": [IMAGE | {"shape": [2, 28, 28]}]}, 422, "got 784 values; allowed: 1568"),
    ({"inputs": [IMAGE | {"shape": [784, 1, 1]}]}, 422, "allowed: [n, 28, 28] or [n, 784]"),
    ({"inputs": [IMAGE | {"shape": [0, 784], "data": []}]}, 422, "got tensors of 0 records"),
    ({"inputs": [IMAGE | {"data": [[0], 0]}]}, 422, "at different depths"),
    ({"inputs": [IMAGE | {"data": [300] * 784}]}, 422, "field 'image': got 300 as a pixel"),
    ({"inputs": [IMAGE | {"data": None}]}, 422, "got no data"),
    ({"inputs": [IMAGE | {"data": None, "parameters": {"binary_data_size": 5}}]}, 422, "0 bytes left"),
    ({"inputs": [IMAGE], "outputs": [{"name": "x"}]}, 422, "output 'x': unknown; allowed: label"),
    (
        {"inputs": [IMAGE], "outputs": [{"name": "lable"}]},
        422,
        "output 'lable': unknown (is 'label' meant?);",
    ),
    ({"inputs": [IMAGE | {"name": "imgae"}]}, 422, "input 'imgae': unknown (is 'image' meant?); allowed"),
    (
        {"inputs": [IMAGE], "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
        422,
        "'classification', which is not supported",
    ),
]


def test_what_is_no_request_is_refused_by_name(service: Service) -> None:
    for body, status, words in REFUSED:
        response = infer(service, DIGITS, body if isinstance(body, bytes) else _dump(body))
        assert response.status_code == status, response.text
        assert words in response.json()["error"]
        assert set(response.json()) == {"error", "code", "details"}


def _dump(content: Any) -> bytes:
    """As orjson would, halves of surrogate pairs too."""
    return json.dumps(content).encode()


def raw_request(
    name: str, datatype: str, shape: list[int], raw: bytes, size: int | None = None
) -> tuple[bytes, str]:
    head = tensor(name, datatype, shape, None)
    head["parameters"] = {"binary_data_size": len(raw) if size is None else size}
    body = orjson.dumps({"inputs": [head]})
    return body + raw, str(len(body))


RAW: list[tuple[tuple[bytes, str], str | None]] = [
    (raw_request("article", "BYTES", [1], b"\x02\0\0\0ab"), None),
    (raw_request("article", "BYTES", [2], b"\x02\0\0\0ab"), "got 1 texts; allowed: 2"),
    (raw_request("article", "BYTES", [1], b"\x09\0\0\0ab"), "a text of 9 bytes"),
    (raw_request("article", "BYTES", [1], b"\x02\0\0\0ab\0"), "got 1 bytes at the end"),
    (raw_request("article", "BYTES", [1], b"\x01\0\0\0\xff"), "no UTF-8"),
    (raw_request("article", "BYTES", [1], b"\x01\0\0\0a\x01", 5), "got 1 bytes behind the last input"),
    (raw_request("article", "BYTES", [1], b"\x01\0\0\0\0"), "field 'article'"),
    ((b"{}", "3"), "header 'inference-header-content-length': got '3'"),
    ((b"{}", "-1"), "header 'inference-header-content-length': got '-1'"),
]


def test_raw_data_are_measured_before_they_are_read(service: Service) -> None:
    for (body, length), words in RAW:
        response = infer(service, PAPERS, body, inference_header_content_length=length)
        assert response.status_code == (200 if words is None else 422), response.text
        assert words is None or words in response.json()["error"]


def test_one_bad_record_is_named(service: Service) -> None:
    raw = np.array([[0.0] * 784, [np.nan] * 784], np.float32)
    body, length = raw_request("image", "FP32", [2, 784], raw.tobytes())
    response = infer(service, DIGITS, body, inference_header_content_length=length)
    assert response.status_code == 422
    assert response.json()["error"].startswith("record 1: field 'image': got NaN as a pixel")
    assert response.json()["details"]["total"] == 1


def test_without_a_model_it_is_not_ready_and_says_what_it_would_take(start_service: StartService) -> None:
    untrained = start_service()
    assert untrained.get("/v2/health/live").json() == {"live": True}
    for path in ("/v2/health/ready", "/v2/models/digits/ready"):
        response = untrained.get(path)
        assert (response.status_code, response.json()["code"]) == (503, "untrained")
    metadata = untrained.get("/v2/models/digits").json()
    assert metadata["versions"] == []
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 28, 28]}]
    assert metadata["outputs"][2]["shape"] == [-1, -1]
    states = {one["name"]: one["state"] for one in untrained.post("/v2/repository/index", b"").json()}
    assert states["digits"] == "UNAVAILABLE"
    assert infer(untrained, DIGITS, {"inputs": [IMAGE]}).json()["code"] == "untrained"


def test_requests_and_answers_are_as_described(service: Service, use_case: UseCase) -> None:
    told, document = operation(service, "/v2/models/{model_name}/infer")
    example = told["requestBody"]["content"]["application/json"]["examples"][use_case.name]["value"]
    check(example, body_schema(told), document)
    check(infer(service, use_case, example).json(), response_schema(told), document)
    told, document = operation(service, "/v2/models/{model_name}", "get")
    check(service.get(f"/v2/models/{use_case.name}").json(), response_schema(told), document)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_record_that_a_version_with_another_class_answered_has_all_classes(as_bytes: bool) -> None:
    told = {"score": 0.9, "id": "x"}
    predictions = [
        {"label": "a", "scores": {"a": 0.9, "b": 0.1}, **told},
        {"label": "c", "scores": {"c": 0.7, "b": 0.1, "a": 0.2}, "version": 2, **told},
    ]
    answer = orjson.dumps(
        {"predictions": predictions, "model": {"name": "n", "version": 1, "source": "model"}}
    )
    reply = render(None, {"scores": as_bytes, "classes": False}, answer, "|")
    told_of = dict(reply.headers)
    head = int(told_of[HEAD_LENGTH]) if as_bytes else len(reply.body)
    scores, classes = orjson.loads(reply.body[:head])["outputs"]
    assert (scores["shape"], classes["data"]) == ([2, 3], ["a", "b", "c"])
    numbers = np.frombuffer(reply.body[head:], "<f8").tolist() if as_bytes else scores["data"]
    assert numbers == [0.9, 0.1, 0.0, 0.2, 0.1, 0.7]
