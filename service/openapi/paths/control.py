"""The routes that control runs, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from configs.run_options import RunRequest
from service.openapi.operations import UNREAD_BODY, described, operation
from service.openapi.paths.watch import RUN, WINDOW
from service.openapi.pieces import (
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    UUID,
    Schema,
    choice,
    header_of,
    link,
    many,
    maybe,
    of_type,
    parameter,
    told,
)
from service.runs.progress import MOST_SEQ
from service.runs.rollback import RollbackRequest

_DATA: Schema = {"type": "string", "contentMediaType": "application/json"}
_EVENT = told(
    {"event": choice("status", "progress", "end"), "data": _DATA},
    {"id": TEXT | {"description": "Of a `progress`; for Last-Event-ID."}},
    "Each event of the stream.",
)
LOCATION: Schema = {"Location": header_of(TEXT, "Where to look next.")}


def control_paths(name: str) -> Schema:
    """Paths of one use case."""
    base = f"/v1/{name}/retrain"
    return {
        base: {"post": _retrain(name)},
        f"{base}/stop": {"post": _stop(name)},
        f"{base}/status": {
            "get": operation(name, f"{name}_retrain_status", "Where the use case stands", None, STATUS)
        },
        f"{base}/progress": {"get": _progress(name)},
        f"/v1/{name}/rollback": {"post": _rollback(name)},
    }


def teach_path(name: str, body: Schema, counts: Schema, key: Schema, example: object) -> Schema:
    """The path that takes labels to learn from; `body` and `counts` are those of feedback."""
    learned = {"status": choice("queued", "nothing_new"), "run_id": maybe(UUID)}
    answer = told({**counts["properties"], **learned})
    made = operation(
        name,
        f"{name}_train",
        "Send true labels to learn from at once",
        body,
        None,
        [key],
        {"409": "The key came before with another body."},
        {"202": described("Stored; a run learns from them, warm from production.", answer, LOCATION)},
        example=example,
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
        {"202": described("Durable, and begun soon.", ACCEPTED, LOCATION)},
        example={"sample_count": 1000},
    )
    made["requestBody"]["required"] = False
    run_id = {"run_id": "$response.body#/run_id"}
    made["responses"]["202"]["links"] = {
        "progress": link(f"{name}_retrain_progress", run_id, "Follow the run.")
    }
    return made


def _stop(name: str) -> Schema:
    answer = told({"status": choice("stopping", "stopped"), "run_id": UUID})
    return operation(
        name,
        f"{name}_retrain_stop",
        "Stop the run",
        None,
        None,
        None,
        {**UNREAD_BODY, "409": "There is no run that could be stopped."},
        {"202": described("Asked to stop.", answer, LOCATION)},
    )


def _progress(name: str) -> Schema:
    text = "Events `status`, `progress` and, at last, `end` with the result."
    seen: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_SEQ}
    return operation(
        name,
        f"{name}_retrain_progress",
        "Follow a run",
        None,
        None,
        [
            parameter("Last-Event-ID", "header", seen, "Events after this one."),
            parameter("last_event_id", "query", seen, "The same."),
            parameter("run_id", "query", UUID, "A run; default: the one under way, else the last."),
        ],
        {"404": "No such run, or none yet."},
        {"200": of_type(text, {"text/event-stream": _EVENT})},
    )


_NO_WAY_BACK = "There is no version to go back to, or its bytes are not those that were registered."


def _rollback(name: str) -> Schema:
    moved = {"use_case": TEXT, "from": INTEGER, "to": INTEGER, "actor": TEXT, "reason": TEXT}
    made = operation(
        name,
        f"{name}_rollback",
        "Go back to a version",
        _body(RollbackRequest),
        told(moved),
        None,
        {"404": "The registry has no such version.", "409": _NO_WAY_BACK},
        example={"reason": "wrong prices since noon", "actor": "ann"},
    )
    made["requestBody"]["required"] = False
    return made


def _body(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    schema.pop("title", None)
    return schema


ACCEPTED = told(
    {
        "status": choice("started", "queued"),
        "run_id": UUID,
        "kind": choice("retrain", "train"),
        "trigger": TEXT,
        "requested_at": TIME,
    }
)
_QUALITY = told({"metric": TEXT, "newest": maybe(WINDOW), "at_promotion": maybe(NUMBER)})
STATUS = told(
    {
        "use_case": TEXT,
        "state": choice("idle", "queued", "running", "stopping"),
        "run": maybe(RUN),
        "last_run": maybe(RUN),
        "next_run": maybe(TIME),
        "version": maybe(INTEGER),
        "age_days": maybe(NUMBER),
        "labels": told(
            {
                "total": INTEGER,
                "new": INTEGER,
                "untried": INTEGER,
                "every": maybe(INTEGER),
                "percent": maybe(NUMBER),
            }
        ),
        "drift": maybe(
            told({"at": TIME, "verdict": TEXT, "share": maybe(NUMBER), "version": maybe(INTEGER)})
        ),
        "quality": _QUALITY,
        "paused": maybe(told({"at": TIME, "actor": TEXT, "reason": TEXT})),
        "recommendation": told(
            {
                "verdict": choice("retrain", "wait", "collect_labels"),
                "trigger": maybe(TEXT),
                "reasons": many(TEXT),
                "needs": TEXT,
            }
        ),
    }
)
