"""The BentoML service: `bentoml serve service.app:Ratchet`, or `python -m service.run`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import bentoml
import orjson
from bentoml.exceptions import BentoMLConfigException
from pydantic import BaseModel, Field

from configs.errors import ConfigError
from configs.logs import configure_logs
from configs.settings import read_settings
from service.errors import ServiceError
from service.hosting.draining import drain_before_shutdown, end_connections_of_all
from service.hosting.light import start_light
from service.hosting.listening import ensure_guarded, listening_host, origin_policy
from service.hosting.parent import end_with_parent
from service.hosting.process_manager import DRAIN_SIGNAL, close_control_ports
from service.http.access_log import AccessLog
from service.http.bentoml_app import paths_of
from service.http.connections.guarded import guard_connections
from service.http.front import Front
from service.mapped_files import count_safely
from service.routes.answers import predict_record
from service.routes.table import RouteTable
from service.worker import Worker
from store.service_workers import forget_workers, mark_ready

REQUEST_SECONDS = 60
"""BentoML's own routes give up after this."""
LOST_SECONDS = 1.0
"""How long the rest of a stop may take where a thread hangs."""

close_control_ports()
count_safely()
drain_before_shutdown()
end_with_parent()
start_light()


class PredictItem(BaseModel):
    """A record and the use case that it belongs to."""

    use_case: str = Field(description="Name of the use case")
    record: dict[str, Any] = Field(description="The record, as in POST /v1/{use_case}/predict")


class FrontedService(bentoml.Service):  # type: ignore[misc]
    """A BentoML service with `Front` around its application."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """BentoML's application, behind Ratchet's own routes."""
        app: Any = super().to_asgi(is_main)
        settings = read_settings()
        front = Front(app, current_routes, paths_of(app), origin_policy(settings))
        guard_connections(front, settings)
        return AccessLog(front) if settings.access_log else front


def current_routes() -> RouteTable | None:
    """The routes of the worker that BentoML has started in this process."""
    worker: Worker | None = getattr(bentoml.get_current_service(), "worker", None)
    return None if worker is None else worker.routes


def before_signal(number: signal.Signals, act: Callable[[], None]) -> None:
    """Act when a signal comes, before whoever handles it already.

    A server that is asked to end waits for its open answers, and streams would go on for as long as
    their run does.
    """
    handler = signal.getsignal(number)

    def handle(signal_number: int, frame: FrameType | None) -> None:
        act()
        if callable(handler):
            handler(signal_number, frame)

    if callable(handler):
        signal.signal(number, handle)


@bentoml.service(
    name="ratchet",
    service_class=FrontedService,
    workers=read_settings().workers,
    traffic={"timeout": REQUEST_SECONDS},
    logging={"access": {"enabled": False}},
)
class Ratchet:
    """Serves the production model of every use case, and takes feedback."""

    def __init__(self) -> None:
        settings = read_settings()
        self.worker = Worker(settings, host=listening_host(settings.host))

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Before any worker is started: refuse to be open to others without keys."""
        try:
            ensure_guarded(read_settings())
        except ConfigError as error:
            raise BentoMLConfigException(str(error)) from error
        forget_workers(read_settings().home)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Load the models."""
        configure_logs(self.worker.settings.log_format)
        before_signal(signal.SIGTERM, self.worker.streams.close)
        await self.worker.start()
        self.worker.hang_watch.leave_tracebacks()
        self.worker.gauges.start()
        asyncio.get_running_loop().add_signal_handler(DRAIN_SIGNAL, self._begin_to_drain)
        mark_ready(self.worker.settings.home)

    def _begin_to_drain(self) -> None:
        self.worker.begin_to_drain()
        end_connections_of_all()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Store what is logged."""
        await self.worker.stop()
        if self.worker.hang_watch.has_lost_threads:  # for which the interpreter would wait without end
            last_word = threading.Timer(LOST_SECONDS, os._exit, (0,))
            last_word.daemon = True
            last_word.start()

    @bentoml.api(batchable=True, max_batch_size=1000, max_latency_ms=REQUEST_SECONDS * 1000)  # type: ignore[untyped-decorator]
    async def predict(self, items: list[PredictItem]) -> list[dict[str, Any]]:
        """Answer records of any use case: for BentoML's client and page.

        Each item gets a prediction as in POST /v1/{use_case}/predict with the model added, or an
        `error`; one that is refused does not fail the others. The same batches, log and models
        serve both ways.
        """
        return list(await asyncio.gather(*(self._answer(PredictItem.model_validate(item)) for item in items)))

    async def _answer(self, item: PredictItem) -> dict[str, Any]:
        try:
            response = await predict_record(self.worker.slots, item.use_case, item.record)
        except ServiceError as error:
            refused: dict[str, Any] = orjson.loads(error.body())
            return refused
        content = orjson.loads(response.body)
        return {**content["predictions"][0], "model": content["model"]}
