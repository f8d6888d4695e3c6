"""MLflow's scoring protocol, for each use case below its own path: what `mlflow models serve` answers.

The rows have the columns of the registered model: `label`, `score` and `scores.<class>`. Beside them
stand what that server does not know: the ids to send true labels to, and which version answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson

from features.records.labels import join_labels
from service.answers.desk import AnswerDesk
from service.errors import ManyUseCases
from service.http.exchange import Receive, Reply, Scope, header, may_be_json
from service.http.front import Handler, Route
from service.protocols.frames import ALLOWED, FrameReader, is_csv

if TYPE_CHECKING:
    from service.worker import Worker

LONG_BODY = 64 * 1024
"""A longer frame is read in a thread, so that others are answered meanwhile."""
TEXT = (b"content-type", b"text/plain; charset=utf-8")
ALIVE = Reply(200, b"\n", [TEXT])


def scoring_table(worker: Worker) -> dict[str, Route]:
    """Path to route; where one use case is served alone, the paths that MLflow's own server has too."""
    spoken = _constant(version("mlflow-skinny").encode())
    table = {"/version": Route({"GET": spoken})}
    for name in worker.use_cases:
        invoke = Route(
            {"POST": _invoke(worker, name)},
            worker.metrics.observer(name, "invocations"),
            worker.slots[name].is_full,
        )
        ping = Route({"GET": _ping(worker, [name])}, always=True)
        base = f"/v1/{name}"
        table |= {f"{base}/invocations": invoke, f"{base}/ping": ping}
        table[f"{base}/version"] = table["/version"]
        if len(worker.use_cases) == 1:
            table |= {"/invocations": invoke, "/ping": ping}
    if "/ping" not in table:
        table |= {
            "/invocations": Route({"POST": _ambiguous(worker, "invocations")}),
            "/ping": Route({"GET": _ping(worker, worker.use_cases)}, always=True),
        }
    return table


async def score(worker: Worker, desk: AnswerDesk, body: bytes, announced: str | None) -> bytes:
    """Answer a frame at a desk, in the batches of everyone else's records."""
    frames = FrameReader(desk.contract.record, desk.reader.max_records)
    read = frames.read_csv if is_csv(announced) else frames.read_json
    check = desk.reader.check
    if len(body) > LONG_BODY:
        incoming = await worker.in_thread(lambda: check(read(body)))
    else:
        incoming = check(read(body))
    rendered = await desk.batcher.submit(incoming)
    return tabulate(rendered.body, worker.configs[desk.name].target.separator)


def tabulate(answer: bytes, separator: str) -> bytes:
    """The answer of predict as MLflow's server would give it."""
    content = orjson.loads(answer)
    predictions = content["predictions"]
    told: dict[str, Any] = {
        "predictions": [_row(one, separator) for one in predictions],
        "ids": [one["id"] for one in predictions],
        "model": content["model"],
    }
    if "source" in predictions[0]:
        told["sources"] = [one["source"] for one in predictions]
    return orjson.dumps(told)


def _row(prediction: dict[str, Any], separator: str) -> dict[str, Any]:
    label = prediction["label"] if "label" in prediction else join_labels(prediction["labels"], separator)
    scores = {f"scores.{name}": value for name, value in prediction["scores"].items()}
    return {"label": label, "score": prediction["score"], **scores}


def _invoke(worker: Worker, name: str) -> Handler:
    slot, limit = worker.slots[name], worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit, _may_be_frame, ALLOWED)
        return await score(worker, slot.desk(), body, header(scope, b"content-type"))

    return handle


def _ambiguous(worker: Worker, route: str) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        raise ManyUseCases(route, worker.use_cases)

    return handle


def _ping(worker: Worker, names: Sequence[str]) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        for name in names:
            worker.slots[name].desk()
        return ALIVE

    return handle


def _constant(text: bytes) -> Handler:
    reply = Reply(200, text, [TEXT])

    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        return reply

    return handle


def _may_be_frame(announced: bytes) -> bool:
    return may_be_json(announced) or is_csv(announced.decode("latin-1"))
