"""The routes of the Open Inference Protocol, version 2: a use case is a model, production its one version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from configs.schema import UseCase
from service.answers.pipeline import PredictPipeline
from service.answers.slot import Slot
from service.errors import VersionNotFound
from service.http.exchange import INFERENCE, Receive, Reply, Scope, header, may_be_json, read_body
from service.http.front import ANY, Handler, Route
from service.protocols.inference import (
    HEAD_LENGTH,
    parse_request,
    read_tensors,
    render,
    requested_outputs,
    to_records,
)
from service.protocols.signature import PLATFORM, describe_inputs, describe_outputs
from service.replicas.readiness import Readiness
from service.worker_parts import Parts

EXTENSIONS = ("binary_tensor_data", "model_repository")
ALLOWED = "application/json or application/octet-stream"
_VERSION_PLACE = 5
"""Where a path has the version: `/v2/models/{name}/versions/{version}`."""
_MAX_EMPTY_BODY = 64 * 1024


def inference_table(parts: Parts) -> dict[str, Route]:
    """Path to route."""
    slots = list(parts.slots.values())
    ready = Route({"GET": _all_ready(slots, parts.readiness)}, always=True)
    table = {
        INFERENCE: Route({"GET": _constant({"name": PLATFORM, "version": "2", "extensions": EXTENSIONS})}),
        f"{INFERENCE}/health/live": Route({"GET": _constant({"live": True})}, always=True),
        f"{INFERENCE}/health/ready": ready,
        f"{INFERENCE}/repository/index": Route({"POST": _index(slots)}),
    }
    for name, slot in parts.slots.items():
        use_case, base = parts.use_cases[name], f"{INFERENCE}/models/{name}"
        infer = Route(
            {"POST": _infer(slot, use_case)}, parts.metrics.answers.observer(name, "infer"), slot.is_full
        )
        is_ready = Route({"GET": _ready(slot)})
        table[base] = Route({"GET": _metadata(slot, use_case)})
        for path in (base, f"{base}/versions/{ANY}"):
            table |= {f"{path}/ready": is_ready, f"{path}/infer": infer}
    return table


def inference_folders(parts: Parts) -> dict[str, Route]:
    """Path to the route of whatever version is below it."""
    return {
        f"{INFERENCE}/models/{name}/versions": Route({"GET": _metadata(slot, parts.use_cases[name])})
        for name, slot in parts.slots.items()
    }


def _infer(slot: Slot, use_case: UseCase) -> Handler:
    limit, separator = use_case.serving.max_body_bytes, use_case.target.separator

    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await slot.read_with_room(scope, receive, limit, _may_be_tensors, ALLOWED)
        pipeline = _pipeline_of(slot, scope)
        request, raw = parse_request(body, header(scope, HEAD_LENGTH))
        outputs = requested_outputs(request)
        tensors = read_tensors(request, raw, pipeline.contract)
        reader = pipeline.reader
        records = to_records(
            tensors, pipeline.contract, reader.max_records, request.parameters, reader.with_notes
        )
        asked_one = _asked_version(scope) is not None
        response = await (pipeline.submit_alone(records) if asked_one else pipeline.submit(records))
        return render(request.id, outputs, response.body, separator)

    return handle


def _metadata(slot: Slot, use_case: UseCase) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        current, wanted_version = slot.current, _asked_version(scope)
        if wanted_version is not None:
            _ensure_served(slot, wanted_version)
        record = use_case.record if current is None else current.predictor.use_case.record
        return orjson.dumps(
            {
                "name": slot.name,
                "versions": _served_versions(slot),
                "platform": PLATFORM,
                "inputs": describe_inputs(record),
                "outputs": describe_outputs(None if current is None else len(current.predictor.classes)),
            }
        )

    return handle


def _ready(slot: Slot) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        _pipeline_of(slot, scope)
        return orjson.dumps({"name": slot.name, "ready": True})

    return handle


def _all_ready(slots: Sequence[Slot], readiness: Readiness) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        readiness.ensure()
        for slot in slots:
            slot.pipeline()
        return b'{"ready":true}'

    return handle


def _index(slots: Sequence[Slot]) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> bytes:
        await read_body(scope, receive, _MAX_EMPTY_BODY)
        return orjson.dumps([_state(slot) for slot in slots])

    return handle


def _state(slot: Slot) -> dict[str, str]:
    pipeline = slot.answering
    if pipeline is None:
        return {"name": slot.name, "version": "", "state": "UNAVAILABLE", "reason": "untrained"}
    version = "" if pipeline.version is None else str(pipeline.version)
    return {"name": slot.name, "version": version, "state": "READY", "reason": ""}


def _pipeline_of(slot: Slot, scope: Scope) -> PredictPipeline:
    """What answers by the version that is asked for.

    Raises:
        Untrained: nothing can answer yet.
        VersionNotFound: another version is asked for than the one that serves.
    """
    pipeline = slot.pipeline()
    wanted_version = _asked_version(scope)
    if wanted_version is not None:
        _ensure_served(slot, wanted_version)
        if slot.canary is not None and wanted_version == str(slot.canary.version):
            return slot.canary.pipeline
    return pipeline


def _asked_version(scope: Scope) -> str | None:
    parts = scope["path"].split("/")
    return parts[_VERSION_PLACE] if len(parts) > _VERSION_PLACE and parts[4] == "versions" else None


def _served_versions(slot: Slot) -> list[str]:
    """Those that may be asked for by number: production, and what is tried beside it."""
    return [str(one.version) for one in (slot.current, slot.canary) if one is not None]


def _ensure_served(slot: Slot, wanted_version: str) -> None:
    served = _served_versions(slot)
    if wanted_version not in served:
        told = ", ".join(served) or "none yet"
        raise VersionNotFound(
            f"version '{wanted_version[:40]}' of '{slot.name}' is not served; served: {told}"
        )


def _constant(content: Any) -> Handler:
    body = orjson.dumps(content)

    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return body

    return handle


def _may_be_tensors(announced: bytes) -> bool:
    kind = announced.partition(b";")[0].strip().lower()
    return may_be_json(announced) or kind == b"application/octet-stream"
