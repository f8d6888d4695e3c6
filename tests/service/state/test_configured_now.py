"""How a use case answers (`serving`) is as it is configured now, whatever its version was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.schema import ServingConfig
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of

ORDERS = USE_CASES["plans"].model_copy(update={"name": "orders"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "configs"
    made.mkdir()
    return made


def serve(
    start_service: StartService,
    registry: FolderRegistry,
    folder: Path,
    *,
    made: dict[str, Any],
    now: dict[str, Any],
) -> Service:
    """A worker whose version was made with one `serving`, and that is configured with another."""
    registry.add(ORDERS.model_copy(update={"serving": ServingConfig(**made)}), 1)
    registry.production["orders"] = 1
    document = ORDERS.model_dump(mode="json", exclude_defaults=True) | {"serving": now}
    (folder / "orders.yaml").write_text(yaml.safe_dump(document))
    return start_service(RATCHET_CONFIGS=str(folder), RATCHET_USE_CASES="orders")


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


@pytest.mark.parametrize(("made", "now", "status"), [(2, 3, 200), (3, 2, 422)])
def test_so_many_records_are_taken_as_are_configured_now(
    start_service: StartService, registry: FolderRegistry, folder: Path, made: int, now: int, status: int
) -> None:
    service = serve(start_service, registry, folder, made={"max_records": made}, now={"max_records": now})
    predicted = service.post("/v1/orders/predict", {"records": [record_of(ORDERS)] * 3})
    assert predicted.status_code == status, predicted.text
