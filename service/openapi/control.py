"""The routes that control runs, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from configs.run_options import RunRequest
from service.going_back import RollbackRequest
from service.openapi.operations import described, operation
from service.openapi.schemas import Schema
from service.openapi.watch import run_schema, window_schema

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_LOCATION: Schema = {"Location": {"description": "Where to look next.", "schema": _TEXT}}
_RUN_ID: Schema = {"type": "string", "format": "uuid"}


def control_paths(name: str) -> Schema:
    """Paths of one use case."""
    base = f"/v1/{name}/retrain"
    return {
        base: {"post": _retrain(name)},
        f"{base}/stop": {"post": _stop(name)},
        f"{base}/status": {
            "get": operation(name, f"{name}_retrain_status", "Where the use case stands", None, _STATUS)
        },
        f"{base}/progress": {"get": _progress(name)},
        f"/v1/{name}/rollback": {"post": _rollback(name)},
    }


def teach_path(name: str, body: Schema, counts: Schema, key: Schema) -> Schema:
    """The path that takes labels to learn from; `body` and `counts` are those of feedback."""
    learned = {
        "status": {"enum": ["queued", "nothing_new"]},
        "run_id": {"anyOf": [_RUN_ID, {"type": "null"}]},
    }
    answer = {
        **counts,
        "required": [*counts["required"], *learned],
        "properties": {**counts["properties"], **learned},
    }
    made = operation(
        name,
        f"{name}_train",
        "Send true labels to learn from at once",
        body,
        None,
        [key],
        {"409": "The key came before with another body."},
        {"202": described("Stored; a run learns from them, warm from production.", answer, _LOCATION)},
    )
    return {f"/v1/{name}/train": {"post": made}}


def _retrain(name: str) -> Schema:
    made = operation(
        name,
        f"{name}_retrain",
        "Start a retrain",
        _body(RunRequest),
        None,
        None,
        {"409": "A run is queued or running; `details.run_id` names it."},
        {"202": described("Durable, and begun soon.", _ACCEPTED, _LOCATION)},
    )
    made["requestBody"]["required"] = False
    return made


def _stop(name: str) -> Schema:
    answer = _object({"status": {"enum": ["stopping", "stopped"]}, "run_id": _RUN_ID})
    return operation(
        name,
        f"{name}_retrain_stop",
        "Stop the run",
        None,
        None,
        None,
        {"409": "There is no run that could be stopped."},
        {"202": described("Asked to stop.", answer, _LOCATION)},
    )


def _progress(name: str) -> Schema:
    stream = {"description": "Events `status`, `progress` and, at last, `end` with the result."}
    stream["content"] = {"text/event-stream": {"schema": _TEXT}}  # type: ignore[assignment]
    return operation(
        name,
        f"{name}_retrain_progress",
        "Follow a run",
        None,
        None,
        [
            _parameter(
                "Last-Event-ID", "header", {"type": "integer", "minimum": 0}, "Events after this one."
            ),
            _parameter("last_event_id", "query", {"type": "integer", "minimum": 0}, "The same."),
            _parameter("run_id", "query", _TEXT, "A run; default: the one under way, else the last."),
        ],
        {"404": "No such run, or none yet."},
        {"200": stream},
    )


def _rollback(name: str) -> Schema:
    version = {"type": "integer"}
    moved = {"use_case": _TEXT, "from": version, "to": version, "actor": _TEXT, "reason": _TEXT}
    made = operation(
        name,
        f"{name}_rollback",
        "Go back to a version",
        _body(RollbackRequest),
        _object(moved),
        None,
        {"404": "The registry has no such version.", "409": "There is no version to go back to."},
    )
    made["requestBody"]["required"] = False
    return made


def _body(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    schema.pop("title", None)
    return schema


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _parameter(name: str, place: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": place, "required": False, "schema": schema, "description": description}


_ACCEPTED = _object(
    {
        "status": {"enum": ["started", "queued"]},
        "run_id": _RUN_ID,
        "kind": {"enum": ["retrain", "train"]},
        "trigger": _TEXT,
        "requested_at": {"type": "string", "format": "date-time"},
    }
)
_RUN: Schema = {"anyOf": [run_schema(), {"type": "null"}]}
_MAYBE: Schema = {"type": ["object", "null"]}
_QUALITY = _object(
    {
        "metric": _TEXT,
        "newest": {"anyOf": [window_schema(), {"type": "null"}]},
        "at_promotion": {"type": ["number", "null"]},
    }
)
_STATUS = _object(
    {
        "use_case": _TEXT,
        "state": {"enum": ["idle", "queued", "running", "stopping"]},
        "run": _RUN,
        "last_run": _RUN,
        "next_run": {"type": ["string", "null"], "format": "date-time"},
        "version": {"type": ["integer", "null"]},
        "age_days": {"type": ["number", "null"]},
        "labels": _object(
            {
                "total": {"type": "integer"},
                "new": {"type": "integer"},
                "untried": {"type": "integer"},
                "every": {"type": ["integer", "null"]},
                "percent": {"type": ["number", "null"]},
            }
        ),
        "drift": _MAYBE,
        "quality": _QUALITY,
        "paused": _MAYBE,
        "recommendation": _object(
            {
                "verdict": {"enum": ["retrain", "wait", "collect_labels"]},
                "trigger": _MAYBE_TEXT,
                "reasons": {"type": "array", "items": _TEXT},
                "needs": _TEXT,
            }
        ),
    }
)
