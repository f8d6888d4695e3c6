"""One operation of the OpenAPI document, with the error responses that its kind of route shares."""

from __future__ import annotations

from collections.abc import Mapping

from service.openapi.schema_parts import STRING, Schema, any_object, json_response, object_of, schema_ref

_ERRORS = {
    "400": "The body cannot be read, as it is not JSON.",
    "403": "A page of another site made the browser send it.",
    "413": "The body is longer than allowed.",
    "415": "The body is announced as something else than what is read here.",
    "422": "Something in the request is refused; `details` says where.",
    "500": "A defect of the server.",
    "503": "Not now: no model yet (`untrained`), overloaded, log, database or MLflow away.",
}
"""Status to description."""
_OF_ALL = ("500", "503")
_OF_BODIES = ("400", "403", "413", "415", "422")
_OF_PARAMETERS = ("422",)
UNREAD_BODY = {status: _ERRORS[status] for status in ("403", "413", "415")}
"""Errors of a route that reads a body and discards it."""
_CODE = STRING | {"description": "For programs; docs/http.md lists them."}
_MESSAGE = STRING | {"description": "For people: what arrived, and what is allowed."}
_DETAILS = any_object("More, depending on the code.")
ERROR = object_of({"error": object_of({"code": _CODE, "message": _MESSAGE, "details": _DETAILS})})
PLAIN_ERROR = object_of({"error": _MESSAGE, "code": _CODE, "details": _DETAILS})
"""The error of the Open Inference Protocol, whose `error` is a string."""


def operation(
    tag: str,
    operation_id: str,
    summary: str,
    *,
    body: Schema | None = None,
    response: Schema | None = None,
    parameters: list[Schema] | None = None,
    more_errors: Mapping[str, str] | None = None,
    more_responses: Mapping[str, Schema] | None = None,
    error: str = "Error",
    example: object = None,
) -> Schema:
    """An Operation Object.

    Args:
        body: schema of the JSON that a request carries; None where it carries none.
        response: schema of the JSON of a 200; None where `more_responses` say what is answered.
        more_errors: status to description, beside the errors that follow from body and parameters.
        more_responses: status to Response Object.
        error: name of the component that is the schema of every error.
        example: a body that is accepted.
    """
    responses = _error_responses(_errors_of(body, parameters) | dict(more_errors or {}), error)
    if response is not None:
        responses["200"] = json_response("OK", response)
    responses |= more_responses or {}
    operation_object: Schema = {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "responses": dict(sorted(responses.items())),
    }
    if parameters:
        operation_object["parameters"] = parameters
    if body is not None:
        operation_object["requestBody"] = _request_body(body, example)
    return operation_object


def _errors_of(body: Schema | None, parameters: list[Schema] | None) -> dict[str, str]:
    """Status to description of the errors that any route with such a body and parameters has."""
    statuses = {*_OF_ALL}
    if body is not None:
        statuses |= {*_OF_BODIES}
    if any(parameter["in"] != "path" for parameter in parameters or []):
        statuses |= {*_OF_PARAMETERS}
    return {status: description for status, description in _ERRORS.items() if status in statuses}


def _error_responses(descriptions: Mapping[str, str], component: str) -> dict[str, Schema]:
    schema = schema_ref(component)
    return {status: json_response(description, schema) for status, description in descriptions.items()}


def _request_body(schema: Schema, example: object) -> Schema:
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {"application/json": content}}
