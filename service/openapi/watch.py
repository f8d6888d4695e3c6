"""Quality, versions, drift and past retrains in the OpenAPI document."""

from __future__ import annotations

from service import drift, quality, retraining, versions
from service.openapi.operations import operation
from service.openapi.schemas import Schema

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
ANYTHING: Schema = {"type": "object"}


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


def exact(properties: Schema) -> Schema:
    """An object that always has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def run_schema() -> Schema:
    """A retrain, as status and history tell it."""
    return exact(
        {
            "id": {"type": "string", "format": "uuid"},
            "kind": {"enum": ["retrain", "train"]},
            "status": {"enum": ["queued", "running", "succeeded", "failed", "stopped", "lost"]},
            "trigger": TEXT,
            "requested_at": TIME,
            "started_at": MAYBE_TIME,
            "finished_at": MAYBE_TIME,
            "seconds": MAYBE_NUMBER,
            "progress": {"type": ["object", "null"]},
            "stop_requested": {"type": "boolean"},
            "outcome": MAYBE_TEXT,
            "reason": MAYBE_TEXT,
            "version": MAYBE_WHOLE,
            "rows": exact({"train": MAYBE_WHOLE, "judged": MAYBE_WHOLE}),
            "scores": {"type": ["object", "null"]},
            "error": MAYBE_TEXT,
        }
    )


def window_schema() -> Schema:
    """Consecutive answers and how good they were."""
    return exact({"from": TIME, "to": TIME, "version": MAYBE_WHOLE, **_TALLY})


def _quality(name: str) -> Schema:
    move = {"at": TIME, "event": {"enum": ["promoted", "rolled_back", "external"]}}
    answer = {
        "use_case": TEXT,
        "metric": {"enum": ["accuracy", "f1_micro"]},
        "since": TIME,
        "total": exact(_TALLY),
        "windows": listed(window_schema()),
        "versions": listed(exact({"version": MAYBE_WHOLE, **_TALLY})),
        "promotions": listed(exact({**move, "from": MAYBE_WHOLE, "to": MAYBE_WHOLE})),
    }
    return operation(
        name,
        f"{name}_quality",
        "How good served answers were",
        None,
        exact(answer),
        [
            _number("windows", quality.WINDOWS, quality.MOST_WINDOWS, "About so many windows."),
            _number("hours", quality.HOURS, quality.MOST_HOURS, "Of the last so many hours."),
        ],
    )


def _versions(name: str) -> Schema:
    links = dict.fromkeys(("mlflow_run", "mlflow_compare", "mlflow_model", "prefect_run"), MAYBE_TEXT)
    version = {
        "version": COUNT,
        "aliases": listed(TEXT),
        "created_at": TIME,
        "run_id": MAYBE_TEXT,
        "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
        **dict.fromkeys(versions.TOLD, MAYBE_TEXT),
        "parent": MAYBE_WHOLE,
        "links": exact(links),
    }
    answer = {
        "use_case": TEXT,
        "versions": listed(exact(version)),
        "links": exact({"mlflow_model": MAYBE_TEXT, "mlflow_compare": MAYBE_TEXT}),
    }
    limit = _number("limit", versions.VERSIONS, versions.MOST_VERSIONS, "The newest so many.")
    return operation(name, f"{name}_versions", "Registered versions", None, exact(answer), [limit])


def _drift(name: str) -> Schema:
    column = exact({"method": TEXT, "value": {"type": "number"}, "drifted": {"type": "boolean"}})
    check = {
        "at": TIME,
        "verdict": {"enum": ["drift", "no_drift", "too_little_evidence"]},
        "share": MAYBE_NUMBER,
        "version": MAYBE_WHOLE,
        "reason": MAYBE_TEXT,
        "share_threshold": MAYBE_NUMBER,
        "threshold": MAYBE_NUMBER,
        "rows": exact({"reference": MAYBE_WHOLE, "recent": MAYBE_WHOLE}),
        "columns": {"type": "object", "additionalProperties": column},
        "page": {"type": "boolean", "description": "Whether the check has a report."},
    }
    limit = _number("limit", drift.CHECKS, drift.MOST_CHECKS, "The newest so many.")
    answer = exact({"use_case": TEXT, "checks": listed(exact(check))})
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
    run = run_schema()
    links = exact({"prefect_run": MAYBE_TEXT})
    told = {
        **run,
        "required": [*run["required"], "links"],
        "properties": {**run["properties"], "links": links},
    }
    answer = exact({"use_case": TEXT, "runs": listed(told)})
    limit = _number("limit", retraining.RUNS, retraining.MOST_RUNS, "The newest so many.")
    return operation(name, f"{name}_retrain_history", "Past retrains", None, answer, [limit])


def _number(name: str, default: int, most: int, description: str) -> Schema:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_TALLY: Schema = {
    "labelled": COUNT,
    "correct": COUNT,
    "accuracy": {**MAYBE_NUMBER, "description": "The metric; null without labels."},
    "low": MAYBE_NUMBER,
    "high": MAYBE_NUMBER,
}
