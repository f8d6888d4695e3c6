"""Quality, versions, drift and past retrains in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.pieces import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    UUID,
    Schema,
    choice,
    free,
    many,
    mapping,
    maybe,
    parameter,
    told,
)
from service.runs import retraining
from service.state import drift, quality, versions
from store.runs.rows import ENDED

COUNT: Schema = {"type": "integer", "minimum": 0}
RUN: Schema = told(
    {
        "id": UUID,
        "kind": choice("retrain", "train"),
        "status": choice("queued", "running", *ENDED),
        "trigger": TEXT,
        "requested_at": TIME,
        "started_at": maybe(TIME),
        "finished_at": maybe(TIME),
        "seconds": maybe(NUMBER),
        "progress": maybe(free("The step that it is at, and that step's numbers.")),
        "stop_requested": BOOLEAN,
        "outcome": maybe(TEXT),
        "reason": maybe(TEXT),
        "version": maybe(INTEGER),
        "rows": told({"train": maybe(INTEGER), "judged": maybe(INTEGER)}),
        "scores": maybe(mapping(free("Metric to value."), "Challenger to its scores.")),
        "error": maybe(TEXT),
    },
    description="A retrain, as status and history tell it.",
)
_TALLY: Schema = {
    "labelled": COUNT,
    "correct": COUNT,
    "accuracy": maybe(NUMBER) | {"description": "The metric; null without labels."},
    "low": maybe(NUMBER),
    "high": maybe(NUMBER),
}
WINDOW: Schema = told(
    {"from": TIME, "to": TIME, "version": maybe(INTEGER), **_TALLY},
    description="Consecutive answers and how good they were.",
)


def watch_paths(name: str) -> Schema:
    """Paths of one use case."""
    base = f"/v1/{name}"
    return {
        f"{base}/quality": {"get": _quality(name)},
        f"{base}/versions": {"get": _versions(name)},
        f"{base}/drift": {"get": _drift(name)},
        f"{base}/drift/report": {"get": _page(name)},
        f"{base}/retrain/history": {"get": _history(name)},
    }


def _quality(name: str) -> Schema:
    move = {"at": TIME, "event": choice("promoted", "rolled_back", "external")}
    answer = {
        "use_case": TEXT,
        "metric": choice("accuracy", "f1_micro"),
        "since": TIME,
        "total": told(_TALLY),
        "windows": many(WINDOW),
        "versions": many(told({"version": maybe(INTEGER), **_TALLY})),
        "promotions": many(told({**move, "from": maybe(INTEGER), "to": maybe(INTEGER)})),
    }
    return operation(
        name,
        f"{name}_quality",
        "How good served answers were",
        None,
        told(answer),
        [
            _number("windows", quality.WINDOWS, quality.MOST_WINDOWS, "About so many windows."),
            _number("hours", quality.HOURS, quality.MOST_HOURS, "Of the last so many hours."),
        ],
    )


def _versions(name: str) -> Schema:
    links = dict.fromkeys(("mlflow_run", "mlflow_compare", "mlflow_model", "prefect_run"), maybe(TEXT))
    version = {
        "version": COUNT,
        "aliases": many(TEXT),
        "created_at": TIME,
        "run_id": maybe(TEXT),
        "metrics": mapping(NUMBER),
        **dict.fromkeys(versions.TOLD, maybe(TEXT)),
        "parent": maybe(INTEGER),
        "links": told(links),
    }
    answer = {
        "use_case": TEXT,
        "versions": many(told(version)),
        "links": told({"mlflow_model": maybe(TEXT), "mlflow_compare": maybe(TEXT)}),
    }
    limit = _number("limit", versions.VERSIONS, versions.MOST_VERSIONS, "The newest so many.")
    return operation(name, f"{name}_versions", "Registered versions", None, told(answer), [limit])


def _drift(name: str) -> Schema:
    column = told({"method": TEXT, "value": NUMBER, "drifted": BOOLEAN})
    check = {
        "at": TIME,
        "verdict": choice("drift", "no_drift", "too_little_evidence"),
        "share": maybe(NUMBER),
        "version": maybe(INTEGER),
        "reason": maybe(TEXT),
        "share_threshold": maybe(NUMBER),
        "threshold": maybe(NUMBER),
        "rows": told({"reference": maybe(INTEGER), "recent": maybe(INTEGER)}),
        "columns": mapping(column),
        "page": BOOLEAN | {"description": "Whether the check has a report."},
    }
    limit = _number("limit", drift.CHECKS, drift.MOST_CHECKS, "The newest so many.")
    answer = told({"use_case": TEXT, "checks": many(told(check))})
    return operation(name, f"{name}_drift", "Drift checks", None, answer, [limit])


def _page(name: str) -> Schema:
    page = {"description": "Evidently's page.", "content": {"text/html": {"schema": TEXT}}}
    missing = {"404": "Unknown use case, or no check has a report yet."}
    return operation(
        name,
        f"{name}_drift_report",
        "The report of the last drift check",
        None,
        None,
        None,
        missing,
        {"200": page},
    )


def _history(name: str) -> Schema:
    linked = told({**RUN["properties"], "links": told({"prefect_run": maybe(TEXT)})})
    answer = told({"use_case": TEXT, "runs": many(linked)})
    limit = _number("limit", retraining.RUNS, retraining.MOST_RUNS, "The newest so many.")
    return operation(name, f"{name}_retrain_history", "Past retrains", None, answer, [limit])


def _number(name: str, default: int, most: int, description: str) -> Schema:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return parameter(name, "query", schema, description)
