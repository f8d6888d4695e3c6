"""What the OpenAPI document says of keys and limits, the same for every route, whoever describes it."""

from __future__ import annotations

from functools import partial

from service.http.access import READING, scope_needed
from service.http.exchange import INFERENCE
from service.openapi.paths.inference import ERROR as INFERENCE_ERROR
from service.openapi.pieces import Schema

SCHEMES: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, where the server asks for one; each route names the scope it needs.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key."},
}
_RETRY: Schema = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_FOREIGN = "a page of another site sent it (`cross_site`), or to another host (`wrong_host`)."


def secured(document: Schema) -> Schema:
    """The document, with the scope that each operation needs and how callers without it are answered."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _secure(method.upper(), path, operation)
    document["components"]["securitySchemes"] = SCHEMES
    return document


def _secure(method: str, path: str, operation: Schema) -> None:
    responses = operation["responses"]
    of_inference = path == INFERENCE or path.startswith(f"{INFERENCE}/")
    refusal = partial(_refusal, INFERENCE_ERROR if of_inference else "Error")
    needed = scope_needed(method, path)
    if needed is not None:
        # A server that only its own machine reaches may ask for none.
        operation["security"] = [{name: [needed]} for name in SCHEMES] + [{}]
        challenge = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
        responses["401"] = refusal("No API key, or one that is not known.", challenge)
        told = "" if method in READING else f"The key lacks the scope `{needed}` (`forbidden`), or "
        responses["403"] = refusal(f"{told}{_FOREIGN}", challenge if told else None)
    else:
        operation["security"] = []
        responses["403"] = refusal(_FOREIGN)
    if "requestBody" in operation:
        responses["408"] = refusal("The request came too slowly.")
    if method not in READING:
        busy = responses.setdefault("503", refusal("Overloaded."))
        busy["headers"] = {**_RETRY, **busy.get("headers", {})}


def _refusal(error: str, text: str, headers: Schema | None = None) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    return {"description": text, "content": content} | ({"headers": headers} if headers else {})
