"""BentoML's process manager, without its open ports.

BentoML has circus start its workers, and circus takes commands, to start any program among them, from
whoever reaches its control port: a TCP port of this machine, open to all its users, without a password. No
setting of BentoML moves it. Nothing here sends it commands, so it gets addresses inside its own process.
"""

from __future__ import annotations

from typing import Any

from bentoml._internal.utils import circus

CONTROL, EVENTS = "inproc://ratchet-control", "inproc://ratchet-events"
_create_with_ports = circus.create_standalone_arbiter


def create_arbiter(watchers: list[Any], *, threaded: bool = False, **options: Any) -> circus.Arbiter:
    """As BentoML's own, without ports; with plugins (`bentoml serve --reload`), which are programs that need
    them, BentoML's own.
    """
    if options.get("plugins"):
        return _create_with_ports(watchers, threaded=threaded, **options)
    make = circus.ThreadedArbiter if threaded else circus.Arbiter
    options.setdefault(
        "check_delay", 10
    )  # as BentoML has it: sooner, its first check meets a starting server
    return make(watchers, endpoint=CONTROL, pubsub_endpoint=EVENTS, **options)


def close_control_ports() -> None:
    """Have BentoML make its process manager so; before it does, which is when the service was imported."""
    circus.create_standalone_arbiter = create_arbiter
