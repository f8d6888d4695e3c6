"""Ports for what tests start, and one for what is to be away."""

from __future__ import annotations

import random
import socket
from functools import cache

DRAWN = random.SystemRandom()
"""By the system: whoever fits a network seeds Python's own, and processes beside it would draw alike."""


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = DRAWN.randint(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def closed_port() -> int:
    """A port that refuses connections until this process ends: no test beside it can start a server there."""
    port: int = _bound().getsockname()[1]
    return port


@cache
def _bound() -> socket.socket:
    held = socket.socket()
    held.bind(("127.0.0.1", 0))  # it never listens
    return held
