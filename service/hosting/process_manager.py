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
    """The arbiter that BentoML would create, without open ports.

    With plugins (`bentoml serve --reload`) it is BentoML's own: they are programs that need the ports.
    """
    if options.get("plugins"):
        return _create_with_ports(watchers, threaded=threaded, **options)
    arbiter_class = circus.ThreadedArbiter if threaded else circus.Arbiter
    # BentoML's value: with a shorter one the first check would find a server that has not started yet.
    options.setdefault("check_delay", 10)
    return arbiter_class(watchers, endpoint=CONTROL, pubsub_endpoint=EVENTS, **options)


def close_control_ports() -> None:
    """Make BentoML create its arbiter without ports; to be called on import, before it creates one."""
    circus.create_standalone_arbiter = create_arbiter
