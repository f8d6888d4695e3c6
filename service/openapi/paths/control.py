"""Retrain, stop, status, progress, train and rollback of a use case in the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel

from configs.run_options import RunRequest
from models.production.ledger import MOVES
from models.production.record_history import VERDICTS
from models.retraining.backlog import TAKEN_BACK, TRAINED
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.paths.quarantine import REASONS
from service.openapi.paths.reports import AUDITS, COVERAGE, RUN, WINDOW
from service.openapi.schema_parts import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    UUID,
    Schema,
    array_of,
    enum_of,
    extended,
    header,
    json_response,
    link,
    map_of,
    nullable,
    object_of,
    parameter,
    response_of,
)
from service.openapi.shadow import SHADOW
from service.runs.progress import MOST_SEQ
from service.runs.rollback import RollbackRequest

_DATA: Schema = {"type": "string", "contentMediaType": "application/json"}
_EVENT = object_of(
    {"event": enum_of("status", "progress", "end"), "data": _DATA},
    {"id": STRING | {"description": "Of a `progress`; for Last-Event-ID."}},
    "Each event of the stream.",
)
LOCATION: Schema = {"Location": header(STRING, "Where to look next.")}


def control_paths(name: str) -> Schema:
    """Path to operations, of one use case."""
    base = f"/v1/{name}/retrain"
    return {
        base: {"post": _retrain(name)},
        f"{base}/stop": {"post": _stop(name)},
        f"{base}/status": {
            "get": operation(name, f"{name}_retrain_status", "Where the use case stands", response=STATUS)
        },
        f"{base}/progress": {"get": _progress(name)},
        f"/v1/{name}/rollback": {"post": _rollback(name)},
    }


def train_path(name: str, body: Schema, counts: Schema, key: Schema, example: object) -> Schema:
    """POST /v1/{use_case}/train: labels to learn from at once; `body` and `counts` are as for feedback."""
    run_fields = {"status": enum_of("queued", "nothing_new"), "run_id": nullable(UUID)}
    response = extended(counts, run_fields)
    train = operation(
        name,
        f"{name}_train",
        "Send true labels to learn from at once",
        body=body,
        parameters=[key],
        more_errors={"409": "The key came before with another body."},
        more_responses={
            "202": json_response("Stored; a run learns from them, warm from production.", response, LOCATION)
        },
        example=example,
    )
    return {f"/v1/{name}/train": {"post": train}}


def _retrain(name: str) -> Schema:
    retrain = operation(
        name,
        f"{name}_retrain",
        "Start a retrain",
        body=_options_schema(RunRequest),
        more_errors={"409": "A run is queued or running; `details.run_id` names it."},
        more_responses={"202": json_response("Durable, and begun soon.", ACCEPTED, LOCATION)},
        example={"sample_count": 1000},
    )
    retrain["requestBody"]["required"] = False
    run_id = {"run_id": "$response.body#/run_id"}
    retrain["responses"]["202"]["links"] = {
        "progress": link(f"{name}_retrain_progress", run_id, "Follow the run.")
    }
    return retrain


def _stop(name: str) -> Schema:
    response = object_of({"status": enum_of("stopping", "stopped"), "run_id": UUID})
    return operation(
        name,
        f"{name}_retrain_stop",
        "Stop the run",
        more_errors={**UNREAD_BODY, "409": "There is no run that could be stopped."},
        more_responses={"202": json_response("Asked to stop.", response, LOCATION)},
    )


def _progress(name: str) -> Schema:
    description = "Events `status`, `progress` and, at last, `end` with the result."
    event_id: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_SEQ}
    return operation(
        name,
        f"{name}_retrain_progress",
        "Follow a run",
        parameters=[
            parameter("Last-Event-ID", "header", event_id, "Events after this one."),
            parameter("last_event_id", "query", event_id, "The same."),
            parameter("run_id", "query", UUID, "A run; default: the one under way, else the last."),
        ],
        more_errors={"404": "No such run, or none yet."},
        more_responses={"200": response_of(description, {"text/event-stream": _EVENT})},
    )


_NO_ROLLBACK = "There is no version to go back to, or its bytes are not those that were registered."


def _rollback(name: str) -> Schema:
    properties = {"use_case": STRING, "from": INTEGER, "to": INTEGER, "actor": STRING, "reason": STRING}
    rollback = operation(
        name,
        f"{name}_rollback",
        "Go back to a version",
        body=_options_schema(RollbackRequest),
        response=object_of(properties),
        more_errors={"404": "The registry has no such version.", "409": _NO_ROLLBACK},
        example={"reason": "wrong prices since noon", "actor": "ann"},
    )
    rollback["requestBody"]["required"] = False
    return rollback


def _options_schema(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    schema.pop("title", None)
    return schema


ACCEPTED = object_of(
    {
        "status": enum_of("started", "queued"),
        "run_id": UUID,
        "kind": enum_of("retrain", "train"),
        "trigger": STRING,
        "requested_at": DATE_TIME,
    }
)
_QUALITY = object_of(
    {
        "metric": STRING,
        "newest": nullable(WINDOW),
        "at_promotion": nullable(NUMBER),
        "coverage": COVERAGE,
        "audits": AUDITS,
    }
)
_SOURCES = object_of(
    {
        "sources": array_of(
            object_of(
                {
                    "name": STRING,
                    "labels": INTEGER,
                    "compared": INTEGER,
                    "contradicts": INTEGER,
                    "share": nullable(NUMBER),
                    "held": BOOLEAN,
                    "held_since": nullable(DATE_TIME),
                    "reason": nullable(STRING),
                    "told": nullable(enum_of("hold", "release")),
                    "actor": nullable(STRING),
                    "told_at": nullable(DATE_TIME),
                }
            )
        ),
        "counted_at": nullable(DATE_TIME | {"description": "When labels and contradictions were counted."}),
        "contradicted": INTEGER,
        "warning": nullable(STRING),
    }
)
_VERDICT: Schema = {
    "at": DATE_TIME,
    "event": enum_of(*VERDICTS, *(move for move in MOVES if move not in VERDICTS)),
    "outcome": nullable(STRING),
    "production": nullable(INTEGER),
    "version": nullable(INTEGER),
    "challenger": nullable(STRING),
    **dict.fromkeys(("rows", "periods", "age"), nullable(INTEGER)),
    **dict.fromkeys(("gain", "lower", "right", "lost", "line"), nullable(NUMBER)),
}
_RECORD = object_of(
    {
        "last": nullable(object_of(_VERDICT)),
        "sentence": nullable(STRING),
        "missing": STRING,
        "series": array_of(object_of(_VERDICT), "The newest verdicts and moves of production, oldest first."),
    },
    description="What challengers of earlier retrains gained over production, as each verdict had it.",
)
_CHOSEN_LABELS = nullable(
    object_of(
        {
            "at": DATE_TIME | {"description": "Of the verdict."},
            "since": nullable(DATE_TIME),
            **dict.fromkeys(("answers", "labelled", "missing", "undrawn"), nullable(INTEGER)),
            "sentence": STRING,
        },
        description="Where the newest verdict said that labels may be selected: audited answers since the "
        "first that those labels speak of, how many have a label, how many more are needed, and how many of "
        "these have not been drawn yet.",
    )
)
_EVIDENCE = {
    "at": DATE_TIME | {"description": "Of the last look."},
    "version": INTEGER,
    "before": INTEGER,
    "verdict": enum_of("on_probation", "passed", "worse", "held", "taken_back", "not_compared"),
    "labels": INTEGER,
    "most_labels": INTEGER,
    "counts": enum_of("right answers", "Brier score"),
    "better": INTEGER,
    "worse": INTEGER,
    "lost": NUMBER,
    "wealth": NUMBER,
    "line": NUMBER,
    "to_go": nullable(INTEGER),
    "why": nullable(STRING),
    "sentence": STRING,
}
_PROBATION = nullable(
    object_of(
        _EVIDENCE,
        description="The version that was promoted last, beside the version before it, on labels that came "
        "since: on how many it did better and worse, what a bet against it has come to (`wealth`), at what "
        "it is taken back (`line`), and about how many labels like these that would take. Null: nothing won.",
    )
)
_CANARY = nullable(
    object_of(
        {
            "version": INTEGER,
            "against": INTEGER | {"description": "Production, which answers all other requests."},
            "share": NUMBER | {"description": "Of the keys."},
            "keys": STRING,
            "since": DATE_TIME,
            "until": DATE_TIME | {"description": "When it becomes production, however few labels come."},
            "labels": INTEGER,
            "most_labels": INTEGER,
            "verdict": enum_of("tried", "held"),
            "probation": nullable(object_of(_EVIDENCE)),
            "sentence": STRING,
        },
        description="The version that is tried on a share of the requests before it becomes production, and "
        "the evidence of the labels, as in `probation`. Null: none is.",
    )
)
_FENCE: Schema = nullable(
    object_of(
        {
            "kept": INTEGER,
            "looked_at": INTEGER,
            "quarantined": INTEGER,
            "left_out": nullable(INTEGER),
            "cut": nullable(INTEGER),
            "sentence": nullable(STRING),
        },
        description="Beyond production's fence: of the newest labelled rows that were `looked_at`, those "
        "`kept`; rows in quarantine for it; training rows `left_out` of production's fit, and values `cut`. "
        "Null: no fence is known.",
    )
)
_TAKEN_BACK: Schema = object_of(
    {
        "labels": INTEGER,
        "rows": INTEGER,
        "last": nullable(object_of({"at": DATE_TIME, "actor": STRING, "reason": STRING})),
    },
    description="Labels that were taken back, of how many rows, and who did so last.",
)
STATUS = object_of(
    {
        "use_case": STRING,
        "state": enum_of("idle", "queued", "running", "stopping"),
        "run": nullable(RUN),
        "last_run": nullable(RUN),
        "next_run": nullable(DATE_TIME),
        "version": nullable(INTEGER),
        "age_days": nullable(NUMBER),
        "labels": object_of(
            {
                "total": INTEGER,
                "new": INTEGER,
                "since": enum_of(TRAINED, TAKEN_BACK),
                "untried": INTEGER,
                "every": nullable(INTEGER),
                "percent": nullable(NUMBER),
            }
        ),
        "drift": nullable(
            object_of(
                {
                    "at": DATE_TIME,
                    "verdict": STRING,
                    "share": nullable(NUMBER),
                    "version": nullable(INTEGER),
                    "parts": map_of(STRING, "Verdict of `data`, `answers` and `labels`."),
                    "moved": map_of(array_of(STRING), "Part that has moved to its columns that did."),
                    "sentence": STRING | {"description": "What moved, or why that cannot be known."},
                }
            )
        ),
        "quality": _QUALITY,
        "record": _RECORD,
        "probation": _PROBATION,
        "canary": _CANARY,
        "shadow": SHADOW,
        "chosen_labels": _CHOSEN_LABELS,
        "quarantine": REASONS,
        "fence": _FENCE,
        "taken_back": _TAKEN_BACK,
        "sources": _SOURCES,
        "paused": nullable(object_of({"at": DATE_TIME, "actor": STRING, "reason": STRING})),
        "recommendation": object_of(
            {
                "verdict": enum_of("retrain", "wait", "collect_labels"),
                "trigger": nullable(STRING),
                "reasons": array_of(STRING),
                "needs": STRING,
            }
        ),
    }
)
