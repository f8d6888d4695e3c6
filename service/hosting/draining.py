"""How a worker ends: nobody who has connected is turned away without an answer.

uvicorn closes its socket and all idle connections at once, and what has just arrived on them is reset. So
before it does, connections that wait are taken in, each answer says that it is the last of its connection,
and only those that say nothing for a while are closed.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import uvicorn

from service.hosting.closing import refuse_connections
from service.hosting.parent import is_orphan

ACCEPT_SECONDS = 0.25
"""How long connections are still taken in; those that others take in meanwhile are not lost either."""
IDLE_SECONDS = 1.0
"""How long a connection may say nothing before it is closed: its client is not about to use it."""
POLL_SECONDS = 0.02
_LAST = (b"connection", b"close")

_servers: list[uvicorn.Server] = []
_startup: Callable[..., Awaitable[None]] = uvicorn.Server.startup
_shutdown: Callable[..., Awaitable[None]] = uvicorn.Server.shutdown


def drain_before_shutdown() -> None:
    """Have uvicorn drain before it shuts down, in this process; to be called on import."""
    vars(uvicorn)["Server"].shutdown = shutdown
    vars(uvicorn)["Server"].startup = startup


async def shutdown(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Drain, then do what uvicorn does."""
    if is_orphan():  # nobody else accepts what connects from now on
        for listener in sockets or []:
            refuse_connections(listener)
    await drain(server, sockets or [])
    await _shutdown(server, sockets)


def end_connections(server: uvicorn.Server) -> None:
    """From now on each answer says that it is the last of its connection."""
    state = server.server_state
    # The list itself: what is being answered holds it already. The other is what uvicorn makes it of anew,
    # every second while it serves.
    for headers in (state.default_headers, server.config.encoded_headers):
        if _LAST not in headers:
            headers.append(_LAST)
    for connection in state.connections:
        if (cycle := getattr(connection, "cycle", None)) is not None:
            cycle.keep_alive = False


def end_connections_of_all() -> None:
    """The same for the servers that were started in this process."""
    for server in _servers:
        end_connections(server)


async def startup(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Remember a server, and start it."""
    _servers.append(server)
    await _startup(server, sockets)


async def drain(server: uvicorn.Server, sockets: Iterable[socket.socket]) -> None:
    """Answer what has connected, and close what says nothing; within the time that open requests have."""
    state, loop = server.server_state, asyncio.get_running_loop()
    began = loop.time()
    end_connections(server)
    while loop.time() - began < ACCEPT_SECONDS or (
        loop.time() - began < IDLE_SECONDS and _readable([listener.fileno() for listener in sockets])
    ):
        await asyncio.sleep(POLL_SECONDS)
    for one in server.servers:
        one.close()
    until = began + (server.config.timeout_graceful_shutdown or IDLE_SECONDS)
    while state.connections and loop.time() < until and not server.force_exit:
        for connection in list(state.connections):
            if loop.time() - max(began, getattr(connection, "since", began)) > IDLE_SECONDS:
                _close_if_idle(connection)
        await asyncio.sleep(POLL_SECONDS)


def _close_if_idle(connection: Any) -> None:
    """Close a connection that waits for its client, unless something of a request has just arrived."""
    cycle, transport = connection.cycle, connection.transport
    if (cycle is None or cycle.response_complete) and not transport.is_closing():
        descriptor = transport.get_extra_info("socket").fileno()
        if not _readable([descriptor]):
            transport.close()


def _readable(descriptors: Iterable[int]) -> bool:
    """Whether any has something to read, or to accept, now."""
    poll = select.poll()  # `select` itself knows no descriptor above 1023
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
