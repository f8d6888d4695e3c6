"""The routes of the Open Inference Protocol, version 2: a use case is a model, production its one version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from service.answers.desk import AnswerDesk
from service.errors import VersionNotFound
from service.http.exchange import INFERENCE, Receive, Reply, Scope, header, may_be_json, read_body
from service.http.front import ANY, Handler, Route
from service.protocols.inference import (
    HEAD_LENGTH,
    parse_request,
    read_tensors,
    render,
    to_records,
    wanted_outputs,
)
from service.protocols.signature import PLATFORM, describe_inputs, describe_outputs

if TYPE_CHECKING:
    from service.worker import Worker

EXTENSIONS = ("binary_tensor_data", "model_repository")
ALLOWED = "application/json or application/octet-stream"
_VERSION_PLACE = 5
"""Where a path has the version: `/v2/models/{name}/versions/{version}`."""
_MAX_EMPTY_BODY = 64 * 1024


def inference_table(worker: Worker) -> dict[str, Route]:
    """Path to route."""
    ready = Route({"GET": _all_ready(worker)}, always=True)
    table = {
        INFERENCE: Route({"GET": _constant({"name": PLATFORM, "version": "2", "extensions": EXTENSIONS})}),
        f"{INFERENCE}/health/live": Route({"GET": _constant({"live": True})}, always=True),
        f"{INFERENCE}/health/ready": ready,
        f"{INFERENCE}/repository/index": Route({"POST": _index(worker)}),
    }
    for name in worker.use_cases:
        base = f"{INFERENCE}/models/{name}"
        infer = Route(
            {"POST": _infer(worker, name)}, worker.metrics.observer(name, "infer"), worker.slots[name].is_full
        )
        is_ready = Route({"GET": _ready(worker, name)})
        table[base] = Route({"GET": _metadata(worker, name)})
        for path in (base, f"{base}/versions/{ANY}"):
            table |= {f"{path}/ready": is_ready, f"{path}/infer": infer}
    return table


def inference_folders(worker: Worker) -> dict[str, Route]:
    """Path to the route of whatever version is below it."""
    return {
        f"{INFERENCE}/models/{name}/versions": Route({"GET": _metadata(worker, name)})
        for name in worker.use_cases
    }


def _infer(worker: Worker, name: str) -> Handler:
    slot, config = worker.slots[name], worker.configs[name]
    limit, separator = config.serving.max_body_bytes, config.target.separator

    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await slot.read_with_room(scope, receive, limit, _may_be_tensors, ALLOWED)
        desk = _desk_of(worker, name, scope)
        request, raw = parse_request(body, header(scope, HEAD_LENGTH))
        wanted = wanted_outputs(request)
        tensors = read_tensors(request, raw, desk.contract)
        incoming = to_records(tensors, desk.contract, desk.reader.max_records)
        rendered = await desk.batcher.submit(incoming)
        return render(request.id, wanted, rendered.body, separator)

    return handle


def _metadata(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        slot = worker.slots[name]
        current, asked = slot.current, _asked_version(scope)
        if asked is not None:
            _ensure_served(name, asked, None if current is None else current.version)
        record = worker.configs[name].record if current is None else current.predictor.use_case.record
        return orjson.dumps(
            {
                "name": name,
                "versions": [] if current is None else [str(current.version)],
                "platform": PLATFORM,
                "inputs": describe_inputs(record),
                "outputs": describe_outputs(None if current is None else len(current.predictor.classes)),
            }
        )

    return handle


def _ready(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        _desk_of(worker, name, scope)
        return orjson.dumps({"name": name, "ready": True})

    return handle


def _all_ready(worker: Worker) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        for name in worker.use_cases:
            worker.slots[name].desk()
        return b'{"ready":true}'

    return handle


def _index(worker: Worker) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> bytes:
        await read_body(scope, receive, _MAX_EMPTY_BODY)
        return orjson.dumps([_state(worker, name) for name in worker.use_cases])

    return handle


def _state(worker: Worker, name: str) -> dict[str, str]:
    desk = worker.slots[name].answering
    if desk is None:
        return {"name": name, "version": "", "state": "UNAVAILABLE", "reason": "untrained"}
    version = "" if desk.version is None else str(desk.version)
    return {"name": name, "version": version, "state": "READY", "reason": ""}


def _desk_of(worker: Worker, name: str, scope: Scope) -> AnswerDesk:
    """Where the version that is asked for answers.

    Raises:
        Untrained: nothing can answer yet.
        VersionNotFound: another version is asked for than the one that serves.
    """
    desk = worker.slots[name].desk()
    asked = _asked_version(scope)
    if asked is not None:
        _ensure_served(name, asked, desk.version)
    return desk


def _asked_version(scope: Scope) -> str | None:
    parts = scope["path"].split("/")
    return parts[_VERSION_PLACE] if len(parts) > _VERSION_PLACE and parts[4] == "versions" else None


def _ensure_served(name: str, asked: str, served: int | None) -> None:
    if asked != str(served):
        now = "none yet" if served is None else str(served)
        raise VersionNotFound(f"version '{asked[:40]}' of '{name}' is not served; served: {now}")


def _constant(content: Any) -> Handler:
    body = orjson.dumps(content)

    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return body

    return handle


def _may_be_tensors(announced: bytes) -> bool:
    kind = announced.partition(b";")[0].strip().lower()
    return may_be_json(announced) or kind == b"application/octet-stream"
