"""DELETE /v1/{use_case}/feedback/{id} in the OpenAPI document."""

from __future__ import annotations

from service.feedback.taking_back import MOST_REASON
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.schema_parts import (
    DATE_TIME,
    INTEGER,
    STRING,
    Schema,
    array_of,
    nullable,
    object_of,
    parameter,
)
from service.openapi.schemas import NO_NUL

EXAMPLE_ID = "order-1042"
_ID = parameter(
    "id",
    "path",
    STRING | {"examples": [EXAMPLE_ID]},
    "Of a prediction, of a record, or `h:...` of a row that has neither; no `/` in it.",
)
_REASON = parameter(
    "reason", "query", STRING | {"maxLength": MOST_REASON, "pattern": NO_NUL}, "Why; kept on record."
)
_LABEL: Schema = {
    "id": STRING | {"description": "What the row is known by."},
    "label": STRING,
    "said_by": STRING,
    "received_at": DATE_TIME,
    "prediction_id": nullable(STRING),
    "record_id": nullable(STRING),
}
_EARLIER: Schema = {**_LABEL, "taken_back_at": DATE_TIME, "actor": STRING, "reason": STRING}


def label_paths(name: str) -> Schema:
    """Path to operation, of one use case."""
    response = object_of(
        {
            "use_case": STRING,
            "id": STRING,
            "taken_back": INTEGER | {"description": "Labels; 0: they had been taken back before."},
            "left": INTEGER | {"description": "Rows that labels of other sources decide now."},
            "labels": array_of(object_of(_LABEL)),
            "earlier": array_of(object_of(_EARLIER), "What had been taken back before, the newest first."),
        }
    )
    forget = operation(
        name,
        f"{name}_forget",
        "Take a label back",
        response=response,
        parameters=[_ID, _REASON],
        more_errors={**UNREAD_BODY, "404": "Unknown use case, or no label of the caller has this id."},
    )
    return {f"/v1/{name}/feedback/{{id}}": {"delete": forget}}
