"""MLflow's scoring protocol, for each use case below its own path: what `mlflow models serve` answers.

The rows have the columns of the registered model: `label`, `score` and `scores.<class>`. Beside them
stand what that server does not know: the ids to send true labels to, and which version answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import orjson

from configs.schema import UseCase
from features.records.labels import join_labels
from service.answers.pipeline import PredictPipeline
from service.answers.slot import Slot
from service.errors import ManyUseCases
from service.http.exchange import Receive, Reply, Scope, header, is_utf8, may_be_json
from service.http.front import Handler, Route
from service.protocols.frames import ALLOWED, FrameReader, is_csv
from service.storage.threadpool import ThreadPool
from service.worker_parts import Parts

LONG_BODY = 64 * 1024
"""A longer frame is read in a thread, so that others are answered meanwhile."""
TEXT = (b"content-type", b"text/plain; charset=utf-8")
ALIVE = Reply(200, b"\n", [TEXT])


def scoring_table(parts: Parts) -> dict[str, Route]:
    """Path to route; where one use case is served alone, the paths that MLflow's own server has too."""
    version_route = Route({"GET": _constant(version("mlflow-skinny").encode())})
    slots = list(parts.slots.values())
    table = {"/version": version_route}
    for name, slot in parts.slots.items():
        invocations = Route(
            {"POST": _invocations(slot, parts.use_cases[name], parts.threads)},
            parts.metrics.answers.observer(name, "invocations"),
            slot.is_full,
        )
        ping = Route({"GET": _ping([slot])}, always=True)
        base = f"/v1/{name}"
        table |= {f"{base}/invocations": invocations, f"{base}/ping": ping, f"{base}/version": version_route}
        if len(slots) == 1:
            table |= {"/invocations": invocations, "/ping": ping}
    if "/ping" not in table:
        table["/invocations"] = Route({"POST": _ambiguous("invocations", sorted(parts.use_cases))})
        table["/ping"] = Route({"GET": _ping(slots)}, always=True)
    return table


async def score(
    pipeline: PredictPipeline,
    body: bytes,
    announced: str | None,
    separator: str,
    threads: ThreadPool,
    receive: Receive | None = None,
) -> bytes:
    """Answer a frame, in the batches of everyone else's records.

    Args:
        announced: the content type that came with it.
        receive: of the request.
        separator: what stands between the labels of one row, where it may have several.
    """
    frames = FrameReader(pipeline.contract.record, pipeline.reader.max_records)
    read = frames.read_csv if is_csv(announced) else frames.read_json
    check = pipeline.reader.check
    if pipeline.reader.has_images:
        request = await pipeline.pictures.run(receive, lambda: check(read(body)))
    elif len(body) > LONG_BODY:
        request = await threads.run(lambda: check(read(body)))
    else:
        request = check(read(body))
    response = await pipeline.submit(request)
    return tabulate(response.body, separator)


def tabulate(answer: bytes, separator: str) -> bytes:
    """The JSON that predict answers as that of MLflow's scoring server; `separator` joins several labels."""
    content = orjson.loads(answer)
    predictions = content["predictions"]
    response: dict[str, Any] = {
        "predictions": [_row(prediction, separator) for prediction in predictions],
        "ids": [prediction["id"] for prediction in predictions],
        "model": content["model"],
    }
    if "source" in predictions[0]:
        response["sources"] = [prediction["source"] for prediction in predictions]
    if any("version" in prediction for prediction in predictions):
        served = content["model"]["version"]
        response["versions"] = [prediction.get("version", served) for prediction in predictions]
    return orjson.dumps(response)


def _row(prediction: dict[str, Any], separator: str) -> dict[str, Any]:
    label = prediction["label"] if "label" in prediction else join_labels(prediction["labels"], separator)
    scores = {f"scores.{name}": value for name, value in prediction["scores"].items()}
    return {"label": label, "score": prediction["score"], **scores}


def _invocations(slot: Slot, use_case: UseCase, threads: ThreadPool) -> Handler:
    limit, separator = use_case.serving.max_body_bytes, use_case.target.separator

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit, _may_be_frame, ALLOWED)
        announced = header(scope, b"content-type")
        return await score(slot.pipeline(), body, announced, separator, threads, receive)

    return handle


def _ambiguous(route: str, use_cases: Sequence[str]) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        raise ManyUseCases(route, use_cases)

    return handle


def _ping(slots: Sequence[Slot]) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        for slot in slots:
            slot.pipeline()
        return ALIVE

    return handle


def _constant(text: bytes) -> Handler:
    reply = Reply(200, text, [TEXT])

    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        return reply

    return handle


def _may_be_frame(announced: bytes) -> bool:
    csv_in_utf8 = is_csv(announced.decode("latin-1")) and is_utf8(announced.lower().split(b";")[1:])
    return csv_in_utf8 or may_be_json(announced)
