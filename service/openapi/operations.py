"""One operation of the OpenAPI document, with the refusals that every route shares."""

from __future__ import annotations

from collections.abc import Mapping

from service.openapi.schemas import Schema

_REFUSALS = {
    "400": "The body is not JSON.",
    "403": "A page of another site made the browser send it.",
    "404": "Unknown use case.",
    "405": "The path answers to another method.",
    "413": "The body is longer than allowed.",
    "415": "The body is announced as something else than JSON.",
    "422": "Something in the body is refused; `details` says where.",
    "500": "A defect of the server.",
    "503": "Not now: no model yet (`untrained`), overloaded, log or database away.",
}
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}


def operation(
    tag: str,
    operation_id: str,
    summary: str,
    body: Schema | None,
    answer: Schema | None,
    parameters: list[Schema] | None = None,
    more_refusals: Mapping[str, str] | None = None,
    more_answers: Mapping[str, Schema] | None = None,
) -> Schema:
    """An operation that answers 200 with `answer` (None: it does not), or as `more_answers` say."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    refusals = {**_REFUSALS, **(more_refusals or {})}
    responses = {status: {"description": text, "content": error} for status, text in refusals.items()}
    if answer is not None:
        responses["200"] = described("OK", answer)
    responses |= more_answers or {}
    made: Schema = {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "responses": responses,
    }
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def described(text: str, answer: Schema, headers: Mapping[str, Schema] | None = None) -> Schema:
    """A response with JSON."""
    response: Schema = {"description": text, "content": {"application/json": {"schema": answer}}}
    return response | ({"headers": dict(headers)} if headers else {})
