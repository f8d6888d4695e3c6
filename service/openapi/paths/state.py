"""What the service tells of itself: the version that serves, the ledger, its health."""

from __future__ import annotations

from typing import get_args

from configs.schema import UseCase
from models.production.ledger import Event
from service.openapi.operations import operation
from service.openapi.pieces import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    Schema,
    choice,
    free,
    many,
    mapping,
    maybe,
    parameter,
    told,
)
from service.state.production import LEDGER_ROWS, MOST_LEDGER_ROWS

REFUSED = mapping(TEXT, "Version to the reason why it may not serve.")
LINEAGE: Schema = told(
    {
        "snapshot_digest": maybe(TEXT),
        "parent_version": maybe(INTEGER),
        "trigger": maybe(TEXT),
        "run_id": maybe(TEXT),
        "code_revision": maybe(TEXT),
    }
)
MODEL: Schema = told(
    {
        "name": TEXT,
        "version": INTEGER,
        "serving_since": TIME,
        "classes": many(TEXT, "In the order of the model's outputs."),
        "thresholds": maybe(mapping(NUMBER)),
        "estimator": TEXT,
        "challenger": TEXT,
        "fit": choice("full", "warm"),
        "runtime": choice("onnx", "native"),
        "parity": maybe(told({"max_difference": NUMBER, "tolerance": NUMBER, "rows": INTEGER})),
        "training_rows": INTEGER,
        "notes": many(TEXT),
        "created_at": TIME,
        "lineage": LINEAGE,
        "registry": told({"run_id": maybe(TEXT), "tags": mapping(TEXT), "metrics": mapping(NUMBER)}),
        "previous": maybe(INTEGER),
        "refused": REFUSED,
    }
)
ENTRY: Schema = told(
    {
        "id": INTEGER,
        "use_case": TEXT,
        "at": TIME,
        "event": choice(*get_args(Event)),
        "actor": TEXT,
        "from_version": maybe(INTEGER),
        "to_version": maybe(INTEGER),
        "reason": TEXT,
        "evidence": free("The numbers of the decision; the gate's are those of `GateDecision`."),
        "run_id": maybe(TEXT),
    }
)
_LINK: Schema = told(
    {"name": TEXT, "state": choice("ready", "missing", "refused"), "version": maybe(INTEGER)},
    {"problem": TEXT},
)
_DEPENDENCY: Schema = told({"ok": BOOLEAN}, {"error": TEXT})
HEALTH: Schema = told(
    {
        "status": choice("ok", "degraded"),
        "use_cases": mapping(
            told(
                {
                    "state": choice("serving", "standby", "untrained"),
                    "version": maybe(INTEGER),
                    "previous": maybe(INTEGER),
                    "labels": maybe(INTEGER) | {"description": "Null while the database is away."},
                    "refused": REFUSED,
                },
                {"chain": many(_LINK), "problem": TEXT},
            )
        ),
        "dependencies": mapping(
            _DEPENDENCY, "`database`, `mlflow`, `prefect`, and `worker`, the one that runs flows."
        ),
        "journal": told({"backlog_bytes": INTEGER}),
    }
)


def state_paths(name: str, use_case: UseCase) -> Schema:
    """Paths of one use case."""
    limit = parameter(
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": MOST_LEDGER_ROWS, "default": LEDGER_ROWS},
        "So many rows, the newest.",
    )
    ledger = told({"use_case": TEXT, "entries": many(ENTRY, "The newest first.")})
    return {
        f"/v1/{name}/model": {
            "get": operation(name, f"{name}_model", f"What serves: {use_case.title}", None, MODEL)
        },
        f"/v1/{name}/ledger": {
            "get": operation(name, f"{name}_ledger", "What moved production", None, ledger, [limit])
        },
    }


def service_paths() -> Schema:
    """Paths of the service itself."""
    text: Schema = {"text/plain": {"schema": TEXT}}
    probes = {
        f"/{name}": {
            "get": {
                "tags": ["service"],
                "operationId": name,
                "summary": summary,
                "responses": {"200": {"description": "OK", "content": text}} | more,
            }
        }
        for name, summary, more in (
            ("livez", "Alive", {}),
            ("readyz", "Ready", {"503": {"description": "Not ready yet."}}),
            ("metrics", "Prometheus metrics", {}),
        )
    }
    document = operation("service", "document", "This document", None, free("OpenAPI 3.1."))
    health = operation("service", "health", "Use cases and dependencies", None, HEALTH)
    return {"/health": {"get": health}, "/docs.json": {"get": document}, **probes}
