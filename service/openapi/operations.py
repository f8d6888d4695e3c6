"""One operation of the OpenAPI document, with the refusals that its kind of route shares."""

from __future__ import annotations

from collections.abc import Mapping

from service.openapi.pieces import Schema, described, free, told

__all__ = ["ERROR", "PLAIN_ERROR", "UNREAD_BODY", "described", "operation"]

_REFUSALS = {
    "400": "The body cannot be read, as it is not JSON.",
    "403": "A page of another site made the browser send it.",
    "413": "The body is longer than allowed.",
    "415": "The body is announced as something else than what is read here.",
    "422": "Something in the request is refused; `details` says where.",
    "500": "A defect of the server.",
    "503": "Not now: no model yet (`untrained`), overloaded, log, database or MLflow away.",
}
_OF_ALL = ("500", "503")
_OF_BODIES = ("400", "403", "413", "415", "422")
_OF_OPTIONS = ("422",)
UNREAD_BODY = {status: _REFUSALS[status] for status in ("403", "413", "415")}
"""What is refused where a body is read over and thrown away."""
_CODE: Schema = {"type": "string", "description": "For programs; docs/http.md lists them."}
_MESSAGE: Schema = {"type": "string", "description": "For people: what arrived, and what is allowed."}
_DETAILS = free("More, depending on the code.")
ERROR = told({"error": told({"code": _CODE, "message": _MESSAGE, "details": _DETAILS})})
PLAIN_ERROR = told({"error": _MESSAGE, "code": _CODE, "details": _DETAILS})
"""The same as the Open Inference Protocol has it."""


def operation(
    tag: str,
    operation_id: str,
    summary: str,
    body: Schema | None,
    answer: Schema | None,
    parameters: list[Schema] | None = None,
    more_refusals: Mapping[str, str] | None = None,
    more_answers: Mapping[str, Schema] | None = None,
    *,
    error: str = "Error",
    example: object = None,
) -> Schema:
    """An operation that answers 200 with `answer` (None: it does not), or as `more_answers` say.

    Args:
        error: the component that refusals look like.
        example: a body that is taken.
    """
    refused = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    refusals = _refusals_of(body is not None, parameters or []) | dict(more_refusals or {})
    responses = {status: {"description": text, "content": refused} for status, text in refusals.items()}
    if answer is not None:
        responses["200"] = described("OK", answer)
    responses |= more_answers or {}
    made: Schema = {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "responses": dict(sorted(responses.items())),
    }
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        content: Schema = {"schema": body}
        if example is not None:
            content["example"] = example
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
    return made


def _refusals_of(has_body: bool, parameters: list[Schema]) -> dict[str, str]:
    statuses = {*_OF_ALL}
    if has_body:
        statuses |= {*_OF_BODIES}
    if any(one["in"] != "path" for one in parameters):
        statuses |= {*_OF_OPTIONS}
    return {status: text for status, text in _REFUSALS.items() if status in statuses}
