"""What a challenger keeps to besides the metric, in whole retrains."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient

from models.production import ledger
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With 300 labels, of which nothing is learned yet."""
    made = empty_orchard
    made.take_in(300, edge=0.5)
    return made


def holding(orchard: Orchard, **gate: Any) -> Orchard:
    return orchard.changed(gate=orchard.context.use_case.gate.model_dump() | gate)


def production(orchard: Orchard) -> int | None:
    return orchard.registry.alias_version(orchard.name, "production")


def last_evidence(orchard: Orchard) -> dict[str, Any]:
    with orchard.context.connect() as conn:
        return dict(ledger.history(conn, orchard.name, limit=1)[0].evidence or {})


def test_the_first_model_does_not_serve_below_a_floor_and_does_once_it_is_allowed(orchard: Orchard) -> None:
    strict = holding(orchard, slices=[{"field": "colour", "floor": 1.5, "min_rows": 10}])
    refused = strict.retrain()
    assert (refused.outcome, refused.decision.outcome) == ("rejected", "slice_below_floor")
    assert production(orchard) is None
    told = last_evidence(orchard)["slices"]
    assert {(one["field"], one["value"], one["verdict"]) for one in told} == {
        ("colour", "green", "below_floor"),
        ("colour", "red", "below_floor"),
    }
    allowed = holding(orchard, slices=[{"field": "colour", "floor": 0.6, "min_rows": 10}]).retrain()
    assert (allowed.outcome, allowed.decision.outcome) == ("promoted", "first_model")
    assert production(orchard) == allowed.version


def test_a_version_that_costs_too_much_is_not_promoted_and_its_costs_are_told(orchard: Orchard) -> None:
    large = holding(orchard, most_bytes=100).retrain()
    assert (large.outcome, large.decision.outcome) == ("rejected", "too_large")
    slow = holding(orchard, most_latency_ms=1e-6).retrain()
    assert (slow.outcome, slow.decision.outcome) == ("rejected", "too_slow")
    assert production(orchard) is None
    kept = holding(orchard, most_bytes=10**9, most_latency_ms=1e6).retrain()
    assert (kept.outcome, kept.decision.outcome) == ("promoted", "first_model")
    evidence = last_evidence(orchard)
    costs = evidence["costs"]
    assert costs["bytes"] == sum(
        path.stat().st_size for path in orchard.kept(kept.version).rglob("*") if path.is_file()
    )
    assert (costs["latency_ms"] > 0, costs["records"]) == (True, 100)
    metrics = MlflowClient(orchard.context.settings.mlflow_uri).get_run(run_of(orchard, kept.version)).data
    assert metrics.metrics["artifact_bytes"] == costs["bytes"]
    assert metrics.metrics["calibration_error"] == pytest.approx(evidence["calibration"]["challenger"])
    assert metrics.metrics["latency_ms"] == pytest.approx(costs["latency_ms"])


def run_of(orchard: Orchard, version: int) -> str:
    client = MlflowClient(orchard.context.settings.mlflow_uri)
    return str(client.get_model_version(orchard.name, str(version)).run_id)
