"""Model and ledger of a use case, /health, the probes, /metrics and /docs.json in the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from configs.schema import UseCase
from models.production.ledger import Event
from service.openapi.operations import operation
from service.openapi.schema_parts import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    any_object,
    array_of,
    enum_of,
    map_of,
    nullable,
    object_of,
    parameter,
)
from service.state.production import LEDGER_ROWS, MOST_LEDGER_ROWS
from store.service_replicas import State

REFUSED = map_of(STRING, "Version to the reason why it may not serve.")
POSTPONED = map_of(
    object_of({"problem": STRING, "failures": INTEGER, "next_try": DATE_TIME}),
    "Version to why this machine cannot load it now; it is tried again, ever more seldom.",
)
LINEAGE: Schema = object_of(
    {
        "snapshot_digest": nullable(STRING),
        "parent_version": nullable(INTEGER),
        "trigger": nullable(STRING),
        "run_id": nullable(STRING),
        "code_revision": nullable(STRING),
    }
)
MEMBER: Schema = object_of({"name": STRING, "weight": NUMBER, "rows": INTEGER, "window": nullable(INTEGER)})
MODEL: Schema = object_of(
    {
        "name": STRING,
        "version": INTEGER,
        "serving_since": DATE_TIME,
        "classes": array_of(STRING, "In the order of the model's outputs."),
        "thresholds": nullable(map_of(NUMBER)),
        "estimator": STRING,
        "members": array_of(MEMBER, "Models whose answers are blended by weight; none where one answers."),
        "challenger": STRING,
        "fit": enum_of("full", "warm"),
        "runtime": enum_of("onnx", "native"),
        "parity": nullable(object_of({"max_difference": NUMBER, "tolerance": NUMBER, "rows": INTEGER})),
        "training_rows": INTEGER,
        "notes": array_of(STRING),
        "created_at": DATE_TIME,
        "lineage": LINEAGE,
        "registry": object_of(
            {"run_id": nullable(STRING), "tags": map_of(STRING), "metrics": map_of(NUMBER)}
        ),
        "previous": nullable(INTEGER),
        "refused": REFUSED,
    }
)
ENTRY: Schema = object_of(
    {
        "id": INTEGER,
        "use_case": STRING,
        "at": DATE_TIME,
        "event": enum_of(*get_args(Event)),
        "actor": STRING,
        "from_version": nullable(INTEGER),
        "to_version": nullable(INTEGER),
        "reason": STRING,
        "evidence": any_object(
            "The numbers of the decision; the gate's are those of `GateDecision`, of which `challenger` and "
            "`production` are scores, and `challenger_name`. Verdicts that promoted nothing had the name as "
            "`challenger` before, and no score."
        ),
        "run_id": nullable(STRING),
    }
)
_LINK: Schema = object_of(
    {
        "name": STRING,
        "state": enum_of("ready", "missing", "refused", "postponed"),
        "version": nullable(INTEGER),
    },
    {"problem": STRING},
)
_SERVER: Schema = object_of(
    {
        "address": STRING,
        "state": enum_of("serving", "draining"),
        "started_at": DATE_TIME,
        "cut_off": nullable(object_of({"since": DATE_TIME, "problem": STRING})),
    }
)
_REPLICA: Schema = object_of(
    {
        "server": STRING,
        "address": STRING,
        "state": enum_of(*get_args(State)),
        "processes": INTEGER,
        "started_at": DATE_TIME,
        "seen_at": DATE_TIME,
        "serving": map_of(
            object_of({"versions": array_of(INTEGER), "since": nullable(DATE_TIME)}), "By use case."
        ),
    }
)
_DEPENDENCY: Schema = object_of({"ok": BOOLEAN}, {"error": STRING, "elsewhere": BOOLEAN})
HEALTH: Schema = object_of(
    {
        "status": enum_of("ok", "degraded"),
        "use_cases": map_of(
            object_of(
                {
                    "state": enum_of("serving", "standby", "untrained"),
                    "version": nullable(INTEGER),
                    "previous": nullable(INTEGER),
                    "labels": nullable(INTEGER) | {"description": "Null while the database is away."},
                    "refused": REFUSED,
                },
                {"chain": array_of(_LINK), "problem": STRING, "canary": INTEGER, "postponed": POSTPONED},
            )
        ),
        "dependencies": map_of(
            _DEPENDENCY,
            "`database`, `mlflow`, `prefect`, and `worker`, the one that runs flows; where `ratchet up` has "
            "started them `supervisor`, which keeps them running. `elsewhere`: that of the worker "
            "which is connected, in another home.",
        ),
        "server": _SERVER,
        "replicas": nullable(array_of(_REPLICA, "Servers of this database; null while it is away.")),
        "journal": object_of({"backlog_bytes": INTEGER}, {"problem": STRING}),
    }
)


def state_paths(name: str, use_case: UseCase) -> Schema:
    """Path to operations, of one use case."""
    limit = parameter(
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": MOST_LEDGER_ROWS, "default": LEDGER_ROWS},
        "So many rows, the newest.",
    )
    ledger = object_of({"use_case": STRING, "entries": array_of(ENTRY, "The newest first.")})
    return {
        f"/v1/{name}/model": {
            "get": operation(name, f"{name}_model", f"What serves: {use_case.title}", response=MODEL)
        },
        f"/v1/{name}/ledger": {
            "get": operation(
                name, f"{name}_ledger", "What moved production", response=ledger, parameters=[limit]
            )
        },
    }


def service_paths() -> Schema:
    """Path to operations, of the service as a whole."""
    text: Schema = {"text/plain": {"schema": STRING}}
    probes = {
        f"/{name}": {
            "get": {
                "tags": ["service"],
                "operationId": name,
                "summary": summary,
                "responses": {"200": {"description": "OK", "content": text}} | more_responses,
            }
        }
        for name, summary, more_responses in (
            ("livez", "Alive", {}),
            ("readyz", "Ready", {"503": {"description": "Not ready yet."}}),
            ("metrics", "Prometheus metrics", {}),
        )
    }
    document = operation("service", "document", "This document", response=any_object("OpenAPI 3.1."))
    health = operation("service", "health", "Use cases and dependencies", response=HEALTH)
    return {"/health": {"get": health}, "/docs.json": {"get": document}, **probes}
