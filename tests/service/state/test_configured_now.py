"""How a use case answers (`serving`) is as it is configured now, whatever its version was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from configs.schema import RecordConfig, ServingConfig, UseCase
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of

ORDERS = USE_CASES["plans"].model_copy(update={"name": "orders"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "configs"
    made.mkdir()
    return made


def serve_now(
    start_service: StartService, registry: FolderRegistry, folder: Path, made: UseCase, now: UseCase
) -> Service:
    """A worker whose version was made of one configuration, and that has another."""
    registry.add(made, 1)
    registry.production["orders"] = 1
    document = now.model_dump(mode="json", exclude_defaults=True)
    (folder / "orders.yaml").write_text(yaml.safe_dump(document))
    return start_service(RATCHET_CONFIGS=str(folder), RATCHET_USE_CASES="orders")


def serve(
    start_service: StartService,
    registry: FolderRegistry,
    folder: Path,
    *,
    made: dict[str, Any],
    now: dict[str, Any],
) -> Service:
    """A worker whose version was made with one `serving`, and that is configured with another."""
    of_made, of_now = (
        ORDERS.model_copy(update={"serving": ServingConfig(**serving)}) for serving in (made, now)
    )
    return serve_now(start_service, registry, folder, of_made, of_now)


@pytest.mark.parametrize(
    ("made", "now", "status"),
    [("ignore", "refuse", 422), ("refuse", "ignore", 200)],
)
def test_unknown_fields_are_refused_where_that_is_configured_now(
    start_service: StartService, registry: FolderRegistry, folder: Path, made: str, now: str, status: int
) -> None:
    service = serve(
        start_service, registry, folder, made={"unknown_fields": made}, now={"unknown_fields": now}
    )
    record = record_of(ORDERS) | {"colour_of_box": "red"}
    predicted = service.post("/v1/orders/predict", {"records": [record]})
    assert predicted.status_code == status, predicted.text
    asked = service.post("/v1/orders/predictions", {"records": [record]})
    assert (asked.status_code == 422) == (status == 422), asked.text


def small(*fields: dict[str, Any], classes: tuple[str, ...] = ("no", "yes"), strict: bool = False) -> UseCase:
    document = ORDERS.model_dump(mode="json", exclude_defaults=True)
    changed = {
        "record": {"fields": [{"name": "weight", "type": "number"}, *fields]},
        "target": {"task": "multiclass", "column": "grade", "classes": list(classes)},
        "serving": {"unknown_fields": "refuse" if strict else "ignore"},
        "gate": {"metric": "accuracy"},
    }
    return UseCase.model_validate({**document, **changed})


def box(*categories: str) -> dict[str, Any]:
    return {"name": "box", "type": "category", "categories": list(categories)}


RED_ONLY, ALSO_BLUE = box("red", "white"), box("red", "white", "blue")


@pytest.mark.parametrize(
    ("made", "now", "record", "says"),
    [
        (small(RED_ONLY), small(ALSO_BLUE), {"box": "blue"}, "changed; the next one allows it)"),
        (small(RED_ONLY), small(), {}, "changed; the next one has no such field)"),
        (
            small(strict=True),
            small(RED_ONLY, strict=True),
            {"box": "red"},
            "changed; the next one allows it)",
        ),
        (small(RED_ONLY), small(ALSO_BLUE), {"box": "green"}, "allowed: one of 'red', 'white'"),
        (small(RED_ONLY), small(RED_ONLY), {"box": "blue"}, "allowed: one of 'red', 'white'"),
        (
            small(RED_ONLY),
            small(ALSO_BLUE),
            {"box": "red", "id": [1]},
            "or text of at most 500 printable characters",
        ),
    ],
    ids=["category", "field less", "field more", "neither", "the same", "id"],
)
def test_what_only_production_refuses_is_told_as_that(
    start_service: StartService,
    registry: FolderRegistry,
    folder: Path,
    made: UseCase,
    now: UseCase,
    record: dict[str, Any],
    says: str,
) -> None:
    service = serve_now(start_service, registry, folder, made, now)
    asked = {"records": [{"weight": 1.5, **record}, {"weight": "heavy", **record}]}
    first, second = service.post("/v1/orders/predict", asked).json()["error"]["details"]["problems"][:2]
    assert first["message"].endswith(says), first
    assert ("version 1 was made before" in first["message"]) == ("the next one" in says)
    assert {first["record"], second["record"]} <= {0, 1}


@pytest.mark.parametrize("weight", [{"data": [1.5, 9.5]}, {"parameters": {"binary_data_size": 16}}])
def test_what_only_production_refuses_is_told_as_that_by_every_protocol(
    start_service: StartService, registry: FolderRegistry, folder: Path, weight: dict[str, Any]
) -> None:
    def bounded(maximum: int, field: dict[str, Any]) -> UseCase:
        fields = [{"name": "weight", "type": "number", "maximum": maximum}, field]
        return small().model_copy(update={"record": RecordConfig.model_validate({"fields": fields})})

    made, now = bounded(5, RED_ONLY), bounded(10, ALSO_BLUE)
    service = serve_now(start_service, registry, folder, made, now)
    frame = {"dataframe_records": [{"weight": 9.5, "box": "blue"}]}
    told = [service.post("/v1/orders/invocations", frame).json()["error"]["details"]["problems"]]
    tensors = [
        {"name": "weight", "shape": [2], "datatype": "FP64"} | weight,
        {"name": "box", "shape": [2, 1], "datatype": "BYTES", "data": ["red", "blue"]},
    ]
    head = orjson.dumps({"inputs": tensors})
    raw = np.array([1.5, 9.5]).tobytes() if "parameters" in weight else b""
    answer = service.post(
        "/v2/models/orders/infer", head + raw, inference_header_content_length=str(len(head))
    )
    told.append(answer.json()["details"]["problems"])
    for problems in told:
        assert [one["field"] for one in problems] == ["weight", "box"]
        assert all(one["message"].endswith("changed; the next one allows it)") for one in problems), problems


def test_labels_beside_records_are_held_to_the_classes_of_now(
    start_service: StartService, registry: FolderRegistry, folder: Path
) -> None:
    service = serve_now(start_service, registry, folder, small(), small(classes=("maybe", "yes")))
    asked = {"records": [{"weight": 1.5}], "labels": ["maybe"]}
    answered = service.post("/v1/orders/predict", asked)
    assert answered.status_code == 200, answered.text
    assert set(answered.json()["predictions"][0]["scores"]) == {"no", "yes"}
    assert service.post("/v1/orders/predictions", asked).status_code == 202
    refused = service.post("/v1/orders/predict", asked | {"labels": ["no"]})
    assert refused.status_code == 422
    assert "allowed: one of 'maybe', 'yes'" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("made", "now", "status"), [(2, 3, 200), (3, 2, 422)])
def test_so_many_records_are_taken_as_are_configured_now(
    start_service: StartService, registry: FolderRegistry, folder: Path, made: int, now: int, status: int
) -> None:
    service = serve(start_service, registry, folder, made={"max_records": made}, now={"max_records": now})
    predicted = service.post("/v1/orders/predict", {"records": [record_of(ORDERS)] * 3})
    assert predicted.status_code == status, predicted.text
