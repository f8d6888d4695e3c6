"""The quarantine of a use case in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.schema_parts import (
    DATE_TIME,
    INTEGER,
    STRING,
    Schema,
    any_object,
    array_of,
    enum_of,
    header,
    json_response,
    nullable,
    object_of,
    parameter,
)
from service.state.quarantine import LAST_ID, MOST_ROWS, ROWS, RetryRequest

REASON = object_of(
    {
        "rule": STRING | {"description": "The reason without what arrived."},
        "rows": INTEGER,
        "example": STRING,
        "source": STRING | {"description": "Name of the file of the example, or `http`."},
        "line": nullable(INTEGER),
    },
    {
        "others": array_of(STRING, "What arrived in other rows, where that differs: a few of them."),
    },
)
REASONS = object_of({"rows": INTEGER, "reasons": array_of(REASON)})
_ROW = object_of(
    {
        "id": INTEGER,
        "source": STRING,
        "line": nullable(INTEGER),
        "kind": enum_of("row", "text", "item", "second", "record"),
        "reason": STRING,
        "row": any_object("As it arrived."),
        "at": DATE_TIME,
        "read_at": DATE_TIME,
    }
)


def quarantine_paths(name: str) -> Schema:
    """Path to operations, of one use case."""
    base = f"/v1/{name}/quarantine"
    return {base: {"get": _list(name)}, f"{base}/retry": {"post": _retry(name)}}


def _list(name: str) -> Schema:
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": ROWS}
    after: Schema = {"type": "integer", "minimum": 0, "maximum": LAST_ID, "default": 0}
    fields = {
        "use_case": STRING,
        "rows": INTEGER,
        "retry_requested": INTEGER,
        "reasons": array_of(REASON),
        "shown": array_of(_ROW),
        "next": nullable(INTEGER),
    }
    return operation(
        name,
        f"{name}_quarantine",
        "Why rows were refused",
        response=object_of(fields),
        parameters=[
            parameter("limit", "query", limit, "So many rows."),
            parameter("after", "query", after, "Rows after this id: `next` of the page before."),
        ],
    )


def _retry(name: str) -> Schema:
    body = RetryRequest.model_json_schema()
    body.pop("title", None)
    response = object_of({"status": enum_of("requested", "nothing_to_retry"), "rows": INTEGER})
    location: Schema = {"Location": header(STRING, "Where to look next.")}
    retry = operation(
        name,
        f"{name}_quarantine_retry",
        "Try refused rows again",
        body=body,
        more_responses={"202": json_response("Durable; the worker tries them.", response, location)},
        example={"source": "customers.csv"},
    )
    retry["requestBody"]["required"] = False
    return retry
