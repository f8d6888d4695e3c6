"""Any number of labels a record: in answers, in the log, in jobs, and as truth that comes back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import yaml

from configs.schema import UseCase
from service.app import PredictItem, Ratchet
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import FolderRegistry, Service, StartService
from tests.service.jobs.test_intake import answer, submit

RAW: dict[str, Any] = {
    "name": "subjects",
    "title": "Subjects",
    "kind": "text",
    "record": {"fields": [{"name": "text", "type": "text"}]},
    "target": {"task": "multilabel", "classes": ["art", "law", "tax"], "separator": "|"},
    "model": {"estimator": "linear_text"},
    "gate": {"metric": "f1_micro"},
}
SUBJECTS = UseCase.model_validate(RAW)
SAID = np.array([[0.6, 0.2, 0.9], [0.7, 0.1, 0.2]], np.float32)
RECORDS = [{"text": "a case of tax and art"}, {"text": "a painting"}]


@pytest.fixture
def labelling(start_service: StartService, registry: FolderRegistry, tmp_path: Path) -> Service:
    """A worker whose version gives two labels to a first record, and one to a second."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "subjects.yaml").write_text(yaml.safe_dump(RAW))
    registry.add(SUBJECTS, 1)
    registry.production["subjects"] = 1
    service = start_service(RATCHET_CONFIGS=str(tmp_path / "configs"), RATCHET_USE_CASES="subjects")
    predictor = service.worker.slots["subjects"].serving().predictor
    predictor._runner = lambda x: SAID[: len(x)]
    return service


def test_answers_list_the_labels_the_surest_first(labelling: Service, conn: psycopg.Connection) -> None:
    both, one = predict(labelling, SUBJECTS, RECORDS)["predictions"]
    assert set(both) - {"audit"} == {"id", "labels", "score", "scores"}
    assert (both["labels"], one["labels"]) == (["tax", "art"], ["art"])
    assert both["score"] == both["scores"]["tax"]
    assert labelling.worker.mover.flush(5)
    assert conn.execute("SELECT label FROM prediction ORDER BY id").fetchall() == [("art|tax",), ("art",)]


def test_no_label_at_all_is_an_empty_list(labelling: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.versions.predictor.assign_labels", lambda scores, _thresholds: scores > 1)
    one, _ = predict(labelling, SUBJECTS, RECORDS)["predictions"]
    assert (one["labels"], one["score"]) == ([], 0.0)


def test_jobs_and_bentomls_route_answer_with_sets(labelling: Service) -> None:
    told = answer(labelling, submit(labelling, SUBJECTS, RECORDS)).json()
    assert [one["labels"] for one in told["predictions"]] == [["tax", "art"], ["art"]]
    bento = Ratchet.inner.__new__(Ratchet.inner)  # type: ignore[attr-defined]
    bento.worker = labelling.worker
    item = PredictItem(use_case="subjects", record=RECORDS[0])
    (told,) = labelling.run(bento.predict([item]))
    assert (told["labels"], told["model"]["version"]) == (["tax", "art"], 1)


def test_truth_is_stored_as_one_text_whichever_way_it_comes(
    labelling: Service, conn: psycopg.Connection
) -> None:
    told = predict(labelling, SUBJECTS, RECORDS, labels=[["tax", "law", "tax"], "law|art"])["predictions"]
    item = {"prediction_id": told[1]["id"], "label": ["law"]}
    answered = labelling.post("/v1/subjects/feedback", {"items": [item, item | {"label": ["law", "law"]}]})
    assert (answered.json()["corrected"], answered.json()["rejected"]) == (1, [])
    rows: dict[str, str] = dict(conn.execute("SELECT prediction_id, label FROM feedback").fetchall())
    assert rows == {told[0]["id"]: "law|tax", told[1]["id"]: "law"}


@pytest.mark.parametrize("empty", [[], "", "|"])
def test_no_label_at_all_is_a_truth_that_counts(
    labelling: Service, conn: psycopg.Connection, empty: Any
) -> None:
    (told, _) = predict(labelling, SUBJECTS, RECORDS, labels=[empty, ["tax"]])["predictions"]
    rows: dict[str, str] = dict(conn.execute("SELECT prediction_id, label FROM feedback").fetchall())
    assert rows[told["id"]] == ""
    until = time.monotonic() + 20
    while count_labelled(labelling) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert count_labelled(labelling) == 2


def count_labelled(service: Service) -> int:
    """Answers whose truth has come, as the page has them."""
    return int(service.get("/v1/subjects/quality").json()["total"]["labelled"])


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (["tax", "sport"], "got 'sport' (text); allowed: one of 'art', 'law', 'tax'"),
        (7, "got 7; allowed: one of 'art', 'law', 'tax'"),
        ([["tax"]], "got an array of 1; allowed: one of 'art'"),
        ({"tax": True}, "got an object; allowed: a list"),
        (None, "missing; allowed: a list"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_truth_is_named(labelling: Service, label: Any, words: str) -> None:
    body = {"records": RECORDS, "labels": [["tax"], label]}
    told = error(labelling.post("/v1/subjects/predict", body), 422, "invalid")
    assert told["message"].startswith("record 1: label: ")
    assert words in told["message"]
    items = {"items": [{"record": RECORDS[0], "label": label}]}
    (rejected,) = labelling.post("/v1/subjects/feedback", items).json()["rejected"]
    assert words in rejected["reason"]


def test_thresholds_are_told_with_the_model(labelling: Service) -> None:
    assert set(labelling.get("/v1/subjects/model").json()["thresholds"] or {}) <= {"art", "law", "tax"}
