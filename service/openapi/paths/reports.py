"""GET quality, versions, drift, drift/report and retrain/history of a use case in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.schema_parts import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    UUID,
    Schema,
    any_object,
    array_of,
    enum_of,
    extended,
    map_of,
    nullable,
    object_of,
    parameter,
)
from service.runs import retraining
from service.state import audits, drift, quality, versions
from store.runs.rows import ENDED

COUNT: Schema = {"type": "integer", "minimum": 0}
RUN_ROWS: Schema = object_of(
    {
        "train": nullable(INTEGER),
        "judged": nullable(INTEGER),
        "new": nullable(INTEGER)
        | {"description": "Of those trained on, labels that came since production's snapshot."},
        "returned": nullable(INTEGER)
        | {"description": "Of those trained on, rows that had been held out for production."},
    }
)
RUN: Schema = object_of(
    {
        "id": UUID,
        "kind": enum_of("retrain", "train"),
        "status": enum_of("queued", "running", *ENDED),
        "trigger": STRING,
        "requested_at": DATE_TIME,
        "started_at": nullable(DATE_TIME),
        "finished_at": nullable(DATE_TIME),
        "seconds": nullable(NUMBER),
        "progress": nullable(any_object("The step that it is at, and that step's numbers.")),
        "stop_requested": BOOLEAN,
        "outcome": nullable(STRING),
        "reason": nullable(STRING),
        "version": nullable(INTEGER),
        "rows": RUN_ROWS,
        "compute": nullable(STRING)
        | {"description": "Where challengers were made, and by how many processes."},
        "scores": nullable(map_of(any_object("Metric to value."), "Challenger to its scores.")),
        "plain": nullable(any_object("How what serves stands beside a plain model, in `sentence`.")),
        "warnings": array_of(STRING),
        "error": nullable(STRING),
        "left_out": nullable(INTEGER) | {"description": "Stored rows that did not fit the configuration."},
    },
    description="A retrain, as status and history tell it.",
)
_TALLY: Schema = {
    "labelled": COUNT,
    "correct": COUNT,
    "accuracy": nullable(NUMBER) | {"description": "The metric; null without labels."},
    "low": nullable(NUMBER),
    "high": nullable(NUMBER),
}
_AUDIT_COUNTS: Schema = {
    "answers": COUNT,
    "labelled": COUNT,
    "correct": COUNT,
    "right": nullable(NUMBER) | {"description": "Share of right ones among those with a label."},
    "low": nullable(NUMBER),
    "high": nullable(NUMBER),
    "enough": BOOLEAN | {"description": "Whether that holds for all answers."},
    "sentence": nullable(STRING),
}
AUDITS: Schema = object_of(
    _AUDIT_COUNTS, description="Answers drawn by chance, and how many of them have their true label."
)
COVERAGE: Schema = object_of(
    {
        "answers": COUNT,
        "labelled": COUNT,
        "share": nullable(NUMBER),
        "least": nullable(NUMBER),
        "most": nullable(NUMBER),
        "warning": nullable(STRING),
    },
    description="How many answers carry a label, and what that says of all: `least` to `most` are right.",
)
WINDOW: Schema = object_of(
    {"from": DATE_TIME, "to": DATE_TIME, "version": nullable(INTEGER), **_TALLY},
    description="Consecutive answers and how good they were.",
)


def report_paths(name: str) -> Schema:
    """Path to operations, of one use case."""
    base = f"/v1/{name}"
    return {
        f"{base}/quality": {"get": _quality(name)},
        f"{base}/audits": {"get": _audits(name)},
        f"{base}/versions": {"get": _versions(name)},
        f"{base}/drift": {"get": _drift(name)},
        f"{base}/drift/report": {"get": _drift_report(name)},
        f"{base}/retrain/history": {"get": _history(name)},
    }


def _quality(name: str) -> Schema:
    move = {"at": DATE_TIME, "event": enum_of("promoted", "rolled_back", "external")}
    response = {
        "use_case": STRING,
        "metric": enum_of("accuracy", "f1_micro"),
        "since": DATE_TIME,
        "total": object_of(_TALLY),
        "coverage": COVERAGE,
        "audits": AUDITS,
        "windows": array_of(WINDOW),
        "versions": array_of(object_of({"version": nullable(INTEGER), **_TALLY})),
        "promotions": array_of(object_of({**move, "from": nullable(INTEGER), "to": nullable(INTEGER)})),
    }
    return operation(
        name,
        f"{name}_quality",
        "How good served answers were",
        response=object_of(response),
        parameters=[
            _whole_number("windows", quality.WINDOWS, quality.MOST_WINDOWS, "About so many windows."),
            _whole_number("hours", quality.HOURS, quality.MOST_HOURS, "Of the last so many hours."),
        ],
    )


def _audits(name: str) -> Schema:
    answer = {
        "id": UUID,
        "predicted_at": DATE_TIME,
        "record_id": nullable(STRING),
        "label": nullable(STRING) | {"description": "What was answered; many labels are joined."},
        "score": nullable(NUMBER),
        "model_version": nullable(INTEGER),
        "source": nullable(STRING),
        "record": any_object("As it was answered."),
    }
    counts = {"use_case": STRING, "since": DATE_TIME, **_AUDIT_COUNTS}
    return operation(
        name,
        f"{name}_audits",
        "Audited answers that wait for their true label",
        response=object_of({**counts, "waiting": array_of(object_of(answer))}),
        parameters=[
            _whole_number("limit", audits.ANSWERS, audits.MOST_ANSWERS, "The newest so many."),
            _whole_number("days", audits.DAYS, audits.MOST_DAYS, "Of the last so many days."),
        ],
    )


def _versions(name: str) -> Schema:
    links = dict.fromkeys(("mlflow_run", "mlflow_compare", "mlflow_model", "prefect_run"), nullable(STRING))
    version = {
        "version": COUNT,
        "aliases": array_of(STRING),
        "created_at": DATE_TIME,
        "run_id": nullable(STRING),
        "metrics": map_of(NUMBER),
        **dict.fromkeys(versions.COPIED_TAGS, nullable(STRING)),
        "parent": nullable(INTEGER),
        "links": object_of(links),
    }
    response = {
        "use_case": STRING,
        "versions": array_of(object_of(version)),
        "links": object_of({"mlflow_model": nullable(STRING), "mlflow_compare": nullable(STRING)}),
    }
    limit = _whole_number("limit", versions.VERSIONS, versions.MOST_VERSIONS, "The newest so many.")
    return operation(
        name, f"{name}_versions", "Registered versions", response=object_of(response), parameters=[limit]
    )


def _drift(name: str) -> Schema:
    p_value = nullable(NUMBER) | {"description": "Of chance, corrected for the number of columns."}
    moved = nullable(STRING) | {"description": "What it was and is now, where it has moved."}
    column = object_of(
        {"method": STRING, "value": NUMBER, "drifted": BOOLEAN}, {"p_value": p_value, "moved": moved}
    )
    verdict = enum_of("drift", "no_drift", "too_little_evidence")
    part = {
        "verdict": verdict,
        "reason": STRING,
        "threshold": NUMBER,
        "columns": map_of(column),
        "left_out": map_of(STRING),
        "remarks": map_of(STRING),
        "rows": object_of({"reference": INTEGER, "recent": INTEGER}),
    }
    told_apart = {"description": "What was decided of it; null: an earlier release did not look at it."}
    check = {
        "at": DATE_TIME,
        "verdict": verdict,
        "share": nullable(NUMBER),
        "version": nullable(INTEGER),
        "reason": nullable(STRING),
        "share_threshold": nullable(NUMBER),
        "threshold": nullable(NUMBER),
        "rows": object_of({"reference": nullable(INTEGER), "recent": nullable(INTEGER)}),
        "columns": map_of(column),
        "left_out": map_of(STRING, "Column to why it was not compared."),
        "remarks": map_of(STRING, "Column to what is certain of it beside: constant, new values, missing."),
        "parts": map_of(verdict, "Verdict of `data`, `answers` and `labels`."),
        "moved": map_of(array_of(STRING), "Part that has moved to its columns that did."),
        "sentence": STRING | {"description": "What moved, or why that cannot be known."},
        "retrain": BOOLEAN | {"description": "Whether what moved starts a retrain."},
        "answers": nullable(object_of(part)) | told_apart,
        "labels": nullable(object_of(part)) | told_apart,
        "page": BOOLEAN | {"description": "Whether the check has a report."},
    }
    limit = _whole_number("limit", drift.CHECKS, drift.MOST_CHECKS, "The newest so many.")
    response = object_of({"use_case": STRING, "checks": array_of(object_of(check))})
    return operation(name, f"{name}_drift", "Drift checks", response=response, parameters=[limit])


def _drift_report(name: str) -> Schema:
    page = {"description": "Evidently's page.", "content": {"text/html": {"schema": STRING}}}
    errors = {"404": "Unknown use case, or no check has a report yet."}
    return operation(
        name,
        f"{name}_drift_report",
        "The report of the last drift check",
        more_errors=errors,
        more_responses={"200": page},
    )


def _history(name: str) -> Schema:
    run_with_links = extended(RUN, {"links": object_of({"prefect_run": nullable(STRING)})})
    response = object_of({"use_case": STRING, "runs": array_of(run_with_links)})
    limit = _whole_number("limit", retraining.RUNS, retraining.MOST_RUNS, "The newest so many.")
    return operation(name, f"{name}_retrain_history", "Past retrains", response=response, parameters=[limit])


def _whole_number(name: str, default: int, most: int, description: str) -> Schema:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return parameter(name, "query", schema, description)
