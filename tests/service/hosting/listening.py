"""A worker of this process behind a socket, for clients that people have already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tests.ports import free_port
from tests.service.conftest import Service


@contextmanager
def listening(service: Service) -> Iterator[int]:
    """The port that it listens on meanwhile."""
    port = free_port()
    config = uvicorn.Config(
        service.front, host="127.0.0.1", port=port, lifespan="off", ws="none", log_level="warning"
    )
    server = uvicorn.Server(config)
    serving = service.run(_start(server))
    try:
        yield port
    finally:
        server.should_exit = True
        service.run(_end(serving))


async def _start(server: uvicorn.Server) -> asyncio.Task[None]:
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not serving.done(), serving.result()
    return serving


async def _end(serving: asyncio.Task[None]) -> None:
    await asyncio.wait_for(serving, 10)
