"""Errors that are due to the server: something it needs is away (503), or it has a defect (500)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from service.errors.base import ServiceError

MOST_REASON = 300
"""Characters of what another server says of itself."""


class Unavailable(ServiceError):
    """Something needed is away; the same request may succeed later."""

    status = 503
    code = "unavailable"

    def __init__(
        self, message: str, details: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        headers = [(b"retry-after", str(retry_after).encode())] if retry_after is not None else []
        super().__init__(message, details, headers)


class Untrained(Unavailable):
    """A use case without a production model."""

    code = "untrained"

    def __init__(
        self,
        use_case: str,
        labels: int | None,
        refused: Mapping[int, str] | None = None,
        postponed: Mapping[int, str] | None = None,
    ) -> None:
        """`labels`: what a first model takes; None: a retrain reads them from where `data` says."""
        enough = "train one with" if labels is None else f"once it has {labels} labels, train one with"
        lacking = f"no production model yet; {enough} `ratchet retrain {use_case}`"
        if refused:
            numbers = ", ".join(str(version) for version in refused)
            lacking = f"no version that is fit to serve; refused: {numbers}, and `/health` says why"
        if postponed:
            lacking = f"no version that is loaded yet; {_cannot_load_now(postponed)}"
        super().__init__(f"use case '{use_case}' has {lacking}")


class Loading(Unavailable):
    """What is production is not loaded here yet."""

    code = "loading"

    def __init__(
        self,
        use_cases: Sequence[str],
        registry_error: str | None,
        postponed: Mapping[str, Mapping[int, str]] | None = None,
    ) -> None:
        """`postponed`: use case to its versions that cannot be loaded yet, each with the reason."""
        why = (
            ""
            if registry_error is None
            else f"; MLflow: {shorten(registry_error, MOST_REASON, placeholder='…')}"
        )
        why += "".join(f"; {name}: {_cannot_load_now(one)}" for name, one in (postponed or {}).items() if one)
        super().__init__(f"production is not loaded here yet: {', '.join(use_cases)}{why}", retry_after=1)


def _cannot_load_now(postponed: Mapping[int, str]) -> str:
    reasons = (f"version {version} ({reason})" for version, reason in postponed.items())
    shown = shorten(", ".join(reasons), MOST_REASON, placeholder="…")
    return f"cannot be loaded now and is tried again: {shown}"


class Draining(Unavailable):
    """The server was told to end, and answers what comes until then."""

    code = "draining"

    def __init__(self) -> None:
        super().__init__("this server is about to end; ask another, or this one later", retry_after=5)


class Elsewhere(Unavailable):
    """A prediction may wait in the log of a server that is silent, so feedback on it cannot be taken yet."""

    code = "prediction_elsewhere"

    def __init__(self, prediction_id: str, silent_since: str) -> None:
        super().__init__(
            f"prediction '{prediction_id[:40]}' is not stored yet; it may be in the log of a server that was "
            f"heard last at {silent_since}; nothing was stored. Send again later",
            retry_after=10,
        )


class Moved(Unavailable):
    """A prediction lies in a table beside the database, and no worker has brought it back yet."""

    code = "prediction_moved"

    def __init__(self, prediction_id: str) -> None:
        super().__init__(
            f"prediction '{prediction_id[:40]}' is older than those that the database keeps, and no worker "
            "has brought it back yet; nothing was stored. Send again later",
            retry_after=10,
        )


class Overloaded(Unavailable):
    """More records wait than the server keeps, or can answer soon."""

    code = "overloaded"

    def __init__(self, waiting: int, bound: int, what: str = "records already wait for the model") -> None:
        super().__init__(f"{waiting} {what}; allowed: {bound}. Send again later", retry_after=1)


class TooManyJobs(Unavailable):
    """More asynchronous requests are pending than the use case keeps."""

    code = "overloaded"

    def __init__(self, use_case: str, max_pending: int) -> None:
        super().__init__(
            f"{max_pending} jobs of '{use_case}' are pending; allowed: {max_pending} "
            "(`serving.max_pending_jobs`). Send again later",
            retry_after=10,
        )


class TooManyStreams(Unavailable):
    """More streams of progress are open than a worker keeps."""

    code = "overloaded"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} streams of progress are open, and no more are allowed; ask for the status instead",
            retry_after=10,
        )


class ModelHangs(Unavailable):
    """A version that does not come to an end of answering."""

    code = "model_hangs"

    def __init__(self, use_case: str, version: int) -> None:
        super().__init__(
            f"version {version} of '{use_case}' hangs and was given up; another answers, if there is one. "
            "Send again",
            retry_after=1,
        )


class OutOfMemory(Unavailable):
    """A request that could not be answered for want of memory."""

    code = "out_of_memory"

    def __init__(self) -> None:
        super().__init__(
            "the server lacks the memory to answer this request; send again later, or fewer records at once",
            retry_after=5,
        )


class LogUnwritable(Unavailable):
    """The prediction log cannot be written, so no answer may be given."""

    code = "log_unwritable"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the prediction log cannot be written ({reason}); answers resume when it can", retry_after=5
        )


class RegistryAway(Unavailable):
    """MLflow does not answer, so production cannot be moved."""

    code = "mlflow_away"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retry_after=2)


class DatabaseAway(Unavailable):
    """PostgreSQL does not answer, or not as it should: nothing can be read, or acknowledged as stored."""

    code = "database_away"

    def __init__(self, reason: str, *, writes: bool = True) -> None:
        shown = shorten(reason, MOST_REASON, placeholder="…")
        super().__init__(f"{shown}; nothing was stored" if writes else shown, retry_after=2)


class DatabaseReadOnly(DatabaseAway):
    """PostgreSQL answers, but takes no writes."""

    code = "database_read_only"


class Failed(ServiceError):
    """A defect of the server."""

    status = 500
    code = "internal"


class ModelFailed(Failed):
    """A model that broke on a record that its contract allows."""

    code = "model_failed"

    def __init__(self, use_case: str, version: int | None) -> None:
        model = "the chain" if version is None else f"version {version}"
        super().__init__(f"{model} of '{use_case}' failed on this request; see the server's log")


class JobGivenUp(Failed):
    """A job that was begun several times and never finished."""

    code = "given_up"

    def __init__(self, attempts: int) -> None:
        super().__init__(
            f"the job was begun {attempts} times and never ended; its workers were killed or too slow"
        )
