"""MLflow's scoring protocol: its own client gets what `mlflow models serve` would answer."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from configs.schema import UseCase
from models.pyfunc import PyfuncModel
from service.errors import Invalid
from service.protocols.frames import FrameReader
from tests.contract.generate import make_records
from tests.service.answers.test_predict import error, predict, stored_label
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.hosting.listening import listening
from tests.service.openapi.test_document import body_schema, check, operation, response_schema

CLIENT: Any = ScoringServerClient
ROWS = 5
PLANS = USE_CASES["plans"]
DIGITS = USE_CASES["digits"]


@pytest.fixture
def port(service: Service) -> Iterator[int]:
    with listening(service) as port:
        yield port


def frame_of(use_case: UseCase, records: list[dict[str, Any]]) -> pd.DataFrame:
    """The records as people hold them who know the columns of the files."""
    columns = {
        field.source_column: [record.get(field.name) for record in records]
        for field in use_case.record.fields
    }
    return pd.DataFrame(columns)


def invoke(service: Service, use_case: UseCase, body: Any, kind: str = "application/json") -> Any:
    return service.post(f"/v1/{use_case.name}/invocations", body, content_type=kind)


def test_mlflow_s_client_gets_what_the_registered_model_says(
    service: Service, port: int, use_case: UseCase
) -> None:
    records, _ = make_records(use_case, ROWS, seed=5)
    frame = frame_of(use_case, records)
    client = CLIENT("127.0.0.1", f"{port}/v1/{use_case.name}")
    client.wait_server_ready(timeout=10)
    assert client.get_version() == version("mlflow")
    answered = client.invoke(frame)
    said = answered.get_predictions()
    live = service.worker.slots[use_case.name].serving()
    expected = PyfuncModel(live.predictor).predict(frame)
    assert list(said.columns) == list(expected.columns)
    scores = [name for name in expected.columns if name.startswith("scores.")]
    np.testing.assert_allclose(said[scores].to_numpy(), expected[scores].to_numpy(), atol=1e-6)
    if use_case.chain is None:
        assert said["label"].tolist() == expected["label"].tolist()
    same = predict(service, use_case, records)["predictions"]
    assert said["label"].tolist() == [stored_label(one) for one in same]
    assert answered["model"]["version"] == 1


def test_answers_are_logged_and_as_described(service: Service, use_case: UseCase) -> None:
    record = record_of(use_case)
    answer = invoke(service, use_case, {"dataframe_records": [record]}).json()
    (name,) = answer["ids"]
    assert service.get(f"/v1/trace/{name}").json()["prediction"]["id"] == name
    told, document = operation(service, f"/v1/{use_case.name}/invocations")
    check(answer, response_schema(told), document)
    check(told["requestBody"]["content"]["application/json"]["example"], body_schema(told), document)


def test_all_formats_say_the_same(service: Service) -> None:
    records, _ = make_records(PLANS, ROWS, seed=2)
    names = [field.name for field in PLANS.record.fields]
    rows = [[record.get(name) for name in names] for record in records]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    frame = frame_of(PLANS, records)
    bodies: list[tuple[Any, str]] = [
        ({"dataframe_records": records}, "application/json"),
        ({"dataframe_split": {"columns": names, "index": [9] * ROWS, "data": rows}}, "application/json"),
        ({"instances": records}, "application/json"),
        ({"instances": rows}, "application/json"),
        ({"inputs": columns}, "application/json"),
        ({"inputs": rows, "params": {"ignored": 1}}, "application/json; charset=utf-8"),
        (frame.to_csv(index=False).encode(), "text/csv"),
        (frame.to_csv().encode("utf-8-sig"), "text/csv; charset=utf-8"),
        (b"sep=,\r\n" + frame.to_csv(index=False).encode(), "text/csv"),
    ]
    answers = [invoke(service, PLANS, body, kind).json()["predictions"] for body, kind in bodies]
    assert len(answers[0]) == ROWS
    assert [answer == answers[0] for answer in answers] == [True] * len(bodies)


def test_images_and_texts_need_no_names(service: Service) -> None:
    images = [record["image"] for record in make_records(DIGITS, ROWS, seed=2)[0]]
    expected = invoke(service, DIGITS, {"inputs": {"image": images}}).json()["predictions"]
    assert len({tuple(row.items()) for row in expected}) == ROWS
    for body in ({"inputs": images}, {"instances": images}):
        assert invoke(service, DIGITS, body).json()["predictions"] == expected
    csv = pd.DataFrame({"image": images}).to_csv(index=False).encode()
    assert invoke(service, DIGITS, csv, "text/csv").json()["predictions"] == expected
    intents = USE_CASES["intents"]
    texts = ["something warm", "a dessert, please"]
    named = invoke(service, intents, {"dataframe_records": [{"text": text} for text in texts]}).json()
    assert invoke(service, intents, {"inputs": texts}).json()["predictions"] == named["predictions"]
    assert invoke(service, intents, {"inputs": [[text] for text in texts]}).status_code == 200
    assert named["sources"] == [
        one["source"] for one in predict(service, intents, [{"text": t} for t in texts])["predictions"]
    ]


def test_a_column_s_own_name_and_the_field_s_both_do(service: Service) -> None:
    papers = USE_CASES["papers"]
    by_column = invoke(service, papers, {"dataframe_records": [{"abstract": "a proof", "title": None}]})
    by_field = invoke(service, papers, {"dataframe_records": [{"article": "a proof", "more": 1}]})
    both = invoke(service, papers, {"dataframe_records": [{"article": "other", "abstract": "a proof"}]})
    assert by_column.json()["predictions"] == by_field.json()["predictions"] == both.json()["predictions"]


REFUSED: list[tuple[Any, str, int, str]] = [
    (b"[1]", "application/json", 422, "allowed: a JSON object"),
    (b"{", "application/json", 400, "not JSON"),
    ({}, "application/json", 422, "exactly one of dataframe_split"),
    ({"instances": [1], "inputs": [1]}, "application/json", 422, "'instances', 'inputs'"),
    ({"dataframe_split": []}, "application/json", 422, "an object with `columns` and `data`"),
    ({"dataframe_split": {"columns": 1, "data": []}}, "application/json", 422, "column names"),
    ({"dataframe_split": {"columns": ["a"], "data": 1}}, "application/json", 422, "a list of rows"),
    ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "application/json", 422, "got 2 values"),
    ({"dataframe_records": []}, "application/json", 422, "a list of 1 to 1000"),
    ({"dataframe_records": [7]}, "application/json", 422, "an object with the fields"),
    ({"instances": [[1, 2]]}, "application/json", 422, "an object with the fields"),
    ({"inputs": {"tenure": [1, 2], "churn": ["No"]}}, "application/json", 422, "different lengths"),
    ({"inputs": {"nothing": [1]}}, "application/json", 422, "columns churn"),
    (b'{"\\ud800": 1}', "application/json", 422, "exactly one of"),
    (b"", "text/csv", 400, "nothing is in it"),
    (b"tenure\n", "text/csv", 422, "a list of 1 to 1000"),
    (b"\xff", "text/csv", 400, "not CSV"),
    ("tenure\n1\n".encode("utf-16"), "text/csv", 400, "encoding utf-16-le"),
    ("tenure,churn\n1,2\n".encode("utf-16-be"), "text/csv", 400, "encoding utf-16-be"),
    ("tenure,Prüfung\n1,2\n".encode("cp1252"), "text/csv", 400, "it may be cp1252"),
    (b"tenure;churn\n1;2\n", "text/csv", 400, "columns are separated by ';'"),
    (b'"churn"\t"tenure"\r\n1\t2\r\n', "text/csv", 400, "columns are separated by a tab"),
    (b"sep=;\ntenure\n1\n", "text/csv", 400, "columns are separated by ';'"),
    (b"Tenure,Churned\n1,2\n", "text/csv", 422, "got the columns 'Tenure', 'Churned', none of which"),
    (
        b'{"dataframe_split": {"columns": ["a;b"], "data": [[1]]}}',
        "application/json",
        422,
        "got the columns 'a;b'",
    ),
    (b"tenure,churn\n1\n", "text/csv", 422, "got 1 values; allowed: 2"),
    (b"tenure,churn,tenure\n1,No,2\n", "text/csv", 422, "got the column 'tenure' twice; allowed: once"),
    (
        {"dataframe_split": {"columns": ["tenure", "tenure"], "data": [[1, 2]]}},
        "application/json",
        422,
        "dataframe_split.data: got the column 'tenure' twice; allowed: once",
    ),
    (b"tenure\nsoon\n", "text/csv", 422, "field 'tenure': got 'soon' (text); allowed: a number"),
    (b"x", "application/vnd.apache.parquet", 415, "application/json or text/csv"),
]


def test_what_is_no_frame_is_refused_by_name(service: Service) -> None:
    for body, kind, status, words in REFUSED:
        response = invoke(service, PLANS, body, kind)
        assert response.status_code == status, response.text
        told = response.json()["error"]
        problems = [problem["message"] for problem in told["details"].get("problems", ())]
        assert any(words in message for message in (told["message"], *problems)), told


def test_without_a_model_there_is_nothing_to_ping(start_service: StartService) -> None:
    untrained = start_service()
    for path in ("/v1/plans/ping", "/ping"):
        error(untrained.get(path), 503, "untrained")
    error(untrained.post("/v1/plans/invocations", {"instances": [1]}), 503, "untrained")


def test_several_use_cases_have_no_root(service: Service) -> None:
    told = error(service.post("/invocations", {}), 404, "many_use_cases")
    assert "/v1/{use_case}/invocations" in told["message"]
    assert service.get("/ping").status_code == 200
    assert service.get("/version").text == version("mlflow")


def test_one_use_case_alone_answers_at_the_root(
    start_service: StartService, registry: FolderRegistry
) -> None:
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    alone = start_service(RATCHET_USE_CASES="plans")
    with listening(alone) as port:
        client = CLIENT("127.0.0.1", port)
        client.ping()
        frame = frame_of(PLANS, [record_of(PLANS)])
        assert len(client.invoke(frame).get_predictions()) == 1
    told, document = operation(alone, "/invocations")
    check(
        alone.post("/invocations", {"dataframe_records": [record_of(PLANS)]}).json(),
        response_schema(told),
        document,
    )


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __str__(self) -> str:
        return self

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_frame_of_thousands_of_columns_holds_nobody_up() -> None:
    columns = [Counted(f"c{number}") for number in range(2000)]
    frames = FrameReader(PLANS.record, 10)
    with pytest.raises(Invalid, match="a list of 1 to 10"):
        frames._rows("the body", columns, [])
    assert Counted.compared < 20 * len(columns)
