"""Adds to every operation of the OpenAPI document what holds for all: keys, scopes, queries, and limits."""

from __future__ import annotations

from functools import partial

from service.http.access import READING, scope_needed
from service.http.exchange import INFERENCE
from service.openapi.paths.inference import ERROR as INFERENCE_ERROR
from service.openapi.schema_parts import INTEGER, STRING, Schema, header, json_response, schema_ref

SCHEMES: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one; each route names the scope it needs.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "The same key as password, with any user."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key."},
}
_RETRY: Schema = {"Retry-After": header(INTEGER, "Seconds to wait.")}
_OTHERS = ("/invocations", "/ping", "/version")
"""How paths end that are of MLflow's protocol, whose queries may say anything."""
_UNREADABLE = "The body is not JSON, or has a key twice where labels come; or: "
_STRAY = "The query has a key that is not read here, or one twice."
_FOREIGN = "a page of another site sent it (`cross_site`), or to another host (`wrong_host`)."


def add_security(document: Schema) -> Schema:
    """Add to each operation the scope it needs and its 401, 403, 408 and 503; returns `document`."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _secure(method.upper(), path, operation)
    document["components"]["securitySchemes"] = SCHEMES
    return document


def _secure(method: str, path: str, operation: Schema) -> None:
    responses = operation["responses"]
    of_inference = path == INFERENCE or path.startswith(f"{INFERENCE}/")
    error_response = partial(_error_response, INFERENCE_ERROR if of_inference else "Error")
    needed = scope_needed(method, path)
    if needed is not None:
        # A server that only its own machine reaches may ask for none.
        operation["security"] = [{name: [needed]} for name in SCHEMES] + [{}]
        challenge = {"WWW-Authenticate": header(STRING, "Bearer.")}
        responses["401"] = error_response("No API key, or one that is not known.", challenge)
        lacking = "" if method in READING else f"The key lacks the scope `{needed}` (`forbidden`), or "
        responses["403"] = error_response(f"{lacking}{_FOREIGN}", challenge if lacking else None)
    else:
        operation["security"] = []
        responses["403"] = error_response(_FOREIGN)
    if path.startswith("/v1/") and not path.endswith(_OTHERS):
        unreadable = _UNREADABLE if "requestBody" in operation else ""
        responses["400"] = error_response(f"{unreadable}{_STRAY}")
    if "requestBody" in operation:
        responses["408"] = error_response("The request came too slowly.")
    if method not in READING:
        overloaded = responses.setdefault("503", error_response("Overloaded."))
        overloaded["headers"] = {**_RETRY, **overloaded.get("headers", {})}


def _error_response(component: str, description: str, headers: Schema | None = None) -> Schema:
    return json_response(description, schema_ref(component), headers)
