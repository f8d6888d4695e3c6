"""Errors of the local servers.

StackError
├── NoRoom
├── PortTaken
├── NotHere
├── NotPrefect
├── NotAlone
├── ServerFailed
├── NotTakenUp
└── NotUp
"""

from __future__ import annotations

import os
from pathlib import Path

from configs.addresses.web_url import shown
from configs.security.proxies import through_proxy

OWN_SERVERS = {"mlflow": "MLFLOW_TRACKING_URI", "prefect": "PREFECT_API_URL"}
"""The variable that names a server of the user's own; a database tells of itself."""


class StackError(Exception):
    """Base of everything that starting and stopping the servers raises on purpose."""


class NoRoom(StackError):
    """A home that cannot hold what the servers write; nothing was started."""

    def __init__(self, home: Path, reason: str, free: int) -> None:
        super().__init__(
            f"the home {home} {reason}; {free / 1_000_000:.0f} MB are free there; "
            "make room, or set RATCHET_HOME to another folder"
        )


class PortTaken(StackError):
    """A port that a server needs belongs to another process."""

    def __init__(self, server: str, port: int, holder: str | None, variable: str) -> None:
        super().__init__(
            f"port {port}, which {server} needs, is taken by {holder or 'another process'}; "
            f"stop that process, or set {variable} to a free port"
        )


class NotHere(StackError):
    """An address that no server of this machine can listen on."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(
            f"RATCHET_HOST has value '{host}', which is no address of this machine ({reason}); "
            "allowed: 127.0.0.1, ::1, 0.0.0.0, or an address that it has"
        )


class NotPrefect(StackError):
    """What `PREFECT_API_URL` names answers, and is not Prefect's API."""


class NotAlone(StackError):
    """Another installation works on the database, and its models are where this one cannot read them."""

    def __init__(self, address: str, storage_url: str | None) -> None:
        """Say so.

        Args:
            storage_url: where this one's models would be; None: in its home.
        """
        where = (
            "in their own homes"
            if storage_url is None
            else f"in different places, this one at {storage_url},"
        )
        super().__init__(
            "another `ratchet up` works on the database that RATCHET_DATABASE_URL names, or starts there: it "
            f"is connected from {address}. Two MLflow servers that keep models {where} cannot serve one "
            "another's: name the other's in MLFLOW_TRACKING_URI, or for both a place that they share in "
            "RATCHET_STORAGE (of the other, after `ratchet storage copy`), or here another database"
        )


class ServerFailed(StackError):
    """A server that did not start; the message ends with its log."""

    def __init__(self, server: str, why: str, log: str, log_end: str) -> None:
        self.server = server
        super().__init__(f"{server} did not start: {why}; the end of {log}:\n{log_end}")


class NotTakenUp(StackError):
    """A server that goes on with the configuration that it has."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(
            f"{server} goes on with the configuration it had: {why}\n"
            "`ratchet reload` tries again; `ratchet down` and `ratchet up` begin anew"
        )


class NotUp(StackError):
    """A command that needs a server that does not answer."""

    def __init__(self, server: str, address: str, *, ours: bool = True) -> None:
        """Say so.

        Args:
            ours: whether `ratchet up` starts it.
        """
        way = through_proxy(address, os.environ)
        todo = "start it with `ratchet up`" if ours else f"start it, or correct {OWN_SERVERS[server.lower()]}"
        super().__init__(f"{server} does not answer at {shown(address)}{way}; {todo}")
