"""Errors of the local servers.

StackError
├── PortTaken
├── ServerFailed
└── NotUp
"""

from __future__ import annotations


class StackError(Exception):
    """Base of everything that starting and stopping the servers raises on purpose."""


class PortTaken(StackError):
    """A port that a server needs belongs to another process."""

    def __init__(self, server: str, port: int, holder: str, variable: str) -> None:
        super().__init__(
            f"port {port}, which {server} needs, is taken by {holder}; "
            f"stop that process, or set {variable} to a free port"
        )


class ServerFailed(StackError):
    """A server that did not start; the message ends with its log."""

    def __init__(self, server: str, why: str, log: str, log_end: str) -> None:
        self.server = server
        super().__init__(f"{server} did not start: {why}; the end of {log}:\n{log_end}")


class NotUp(StackError):
    """A command that needs a server that does not answer."""

    def __init__(self, server: str, address: str) -> None:
        super().__init__(f"{server} does not answer at {address}; start it with `ratchet up`")
