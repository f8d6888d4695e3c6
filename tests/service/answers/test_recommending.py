"""POST /v1/{use_case}/recommend: predictions, and known labels, with what the taxonomy has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.schema import UseCase
from configs.taxonomy import Taxonomy
from service.answers.recommending import Recommender
from tests.service.answers.test_predict import error
from tests.service.conftest import Service, StartService
from tests.service.openapi.test_document import body_schema, check, operation, response_schema

PATH = "/v1/wishes/recommend"
TAXONOMY = {
    "soup": {"keywords": ["soup"], "recommendations": ["Minestrone", {"title": "Ramen", "tags": ["hot"]}]},
    "ice": {"keywords": ["ice"], "recommendations": ["Sorbet"]},
}
SOUPS = [{"title": "Minestrone"}, {"title": "Ramen", "tags": ["hot"]}]
RAW: dict[str, Any] = {
    "name": "wishes",
    "title": "Wishes",
    "kind": "text",
    "record": {"fields": [{"name": "text", "type": "text"}]},
    "target": {"task": "multiclass"},
    "model": {"estimator": "linear_text"},
    "taxonomy": "taxonomy.yml",
    "chain": {"links": [{"name": "words", "taxonomy": True}], "out_of_scope": "unknown"},
}


@pytest.fixture
def wishing(start_service: StartService, tmp_path: Path) -> Service:
    """A worker that answers by the keywords of a taxonomy."""
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "wishes.yaml").write_text(yaml.safe_dump(RAW))
    (folder / "taxonomy.yml").write_text(yaml.safe_dump(TAXONOMY))
    return start_service(RATCHET_CONFIGS=str(folder), RATCHET_USE_CASES="wishes,digits")


def test_predictions_come_with_recommendations(wishing: Service) -> None:
    records = [{"text": "a soup", "id": 7}, {"text": "a poem"}]
    told = wishing.post(PATH, {"records": records}).json()
    soup, poem = told["predictions"]
    assert (soup["label"], soup["record_id"], soup["source"]) == ("soup", 7, "words")
    assert soup["recommendations"] == SOUPS
    assert (poem["label"], poem["recommendations"]) == ("unknown", [])
    plain = wishing.post("/v1/wishes/predict", {"records": records}).json()
    for one, other in zip(told["predictions"], plain["predictions"], strict=True):
        own = {"id": None, "audit": None}  # each is drawn for the audit sample by itself
        assert one | own == other | own | {"recommendations": one["recommendations"]}
    assert told["model"] == plain["model"]


def test_known_labels_get_recommendations(wishing: Service) -> None:
    told = wishing.post(PATH, {"labels": ["ice", "soup"]}).json()
    assert told == {
        "predictions": [
            {"label": "ice", "recommendations": [{"title": "Sorbet"}]},
            {"label": "soup", "recommendations": SOUPS},
        ]
    }


def test_what_is_refused_is_named(wishing: Service) -> None:
    unknown = error(wishing.post(PATH, {"labels": ["soup", "stew"]}), 422, "invalid")
    assert unknown["message"] == "record 1: label: got 'stew' (text); allowed: one of 'ice', 'soup'"
    listed = error(wishing.post(PATH, {"labels": [["soup"]]}), 422, "invalid")
    assert "label: got an array of 1" in listed["message"]
    assert "a list of 0" in error(wishing.post(PATH, {"labels": []}), 422, "invalid")["message"]
    assert "field 'records': missing" in error(wishing.post(PATH, {}), 422, "invalid")["message"]
    bad = error(wishing.post(PATH, {"records": [{"text": [7]}]}), 422, "invalid")
    assert "field 'text': got an array of 1" in bad["message"]
    error(wishing.post(PATH, b"{"), 400, "not_json")


def test_without_a_taxonomy_there_is_nothing_to_recommend(wishing: Service) -> None:
    bodies: list[dict[str, Any]] = [{"labels": ["3"]}, {"records": []}]
    for body in bodies:
        told = error(wishing.post("/v1/digits/recommend", body), 404, "no_taxonomy")
        assert told["message"].startswith("use case 'digits' has no taxonomy")


def test_both_forms_are_as_described(wishing: Service) -> None:
    told, document = operation(wishing, PATH)
    for body in ({"records": [{"text": "soup"}]}, {"labels": ["soup"]}):
        check(body, body_schema(told), document)
        check(wishing.post(PATH, body).json(), response_schema(told), document)
    without = document["paths"]["/v1/digits/recommend"]["post"]["responses"]
    assert "404" in without and "200" not in without


def test_sets_of_labels_get_the_items_of_all_each_once() -> None:
    target = {"task": "multilabel", "separator": "|"}
    use_case = UseCase.model_validate(RAW | {"target": target, "chain": None, "gate": {"metric": "f1_micro"}})
    taxonomy = Taxonomy.model_validate(TAXONOMY | {"cold": {"recommendations": ["Sorbet", "Gazpacho"]}})
    recommender = Recommender(use_case, taxonomy)
    told = recommender.for_predictions(b'{"predictions":[{"labels":["ice","cold","other"]},{"labels":[]}]}')
    assert b'"recommendations":[{"title":"Sorbet"},{"title":"Gazpacho"}]' in told
    assert told.endswith(b'{"labels":[],"recommendations":[]}]}')
    known = recommender.for_labels({"labels": [["ice", "cold"], "ice"]})
    assert known.startswith(b'{"predictions":[{"labels":["cold","ice"],"recommendations":[{"title":"Sorbet"}')
