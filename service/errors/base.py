"""The base class of all errors of the service, and the JSON of an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson


class ServiceError(Exception):
    """An error response: a status, a code for programs, a message for people, and more headers."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        # What arrived may hold halves of surrogate pairs, which cannot be sent.
        message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self.headers = tuple(headers)

    def body(self) -> bytes:
        """The JSON of the response."""
        return error_body(self.code, self.message, self.details)

    def plain_body(self) -> bytes:
        """The same for the Open Inference Protocol, whose clients expect `error` to be a text."""
        return orjson.dumps({"error": self.message, "code": self.code, "details": self.details})


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> bytes:
    """The JSON of an error, but of those of the Open Inference Protocol."""
    return orjson.dumps({"error": {"code": code, "message": message, "details": dict(details or {})}})
