"""Errors that are due to the request (4xx): its body, its path, or a conflict with the current state."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from configs.spelling.near_names import meant, meant_choice
from service.errors.base import ServiceError

SHOWN = 20
"""Most problems that one response lists."""


class BadRequest(ServiceError):
    """A request that cannot be read."""

    status = 400
    code = "bad_request"


class NotJson(BadRequest):
    """A body that is not JSON."""

    code = "not_json"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body is not JSON ({reason}); allowed: a JSON object in UTF-8")


class RepeatedKey(BadRequest):
    """A body with a key twice in one object, so that nobody can say which value is meant."""

    code = "repeated_key"


class NotCsv(BadRequest):
    """A body that was announced as CSV and is none."""

    code = "not_csv"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the body is not CSV ({reason}); allowed: UTF-8 with a header line, separated by ','"
        )


class WrongMediaType(BadRequest):
    """A body announced as something else than what the route reads."""

    status = 415
    code = "wrong_media_type"

    def __init__(self, arrived: str, allowed: str) -> None:
        super().__init__(f"header 'content-type': got '{arrived[:80]}'; allowed: {allowed}")


class WrongEncoding(BadRequest):
    """A body that is compressed."""

    status = 415
    code = "wrong_media_type"

    def __init__(self, arrived: str) -> None:
        super().__init__(
            f"header 'content-encoding': got '{arrived[:80]}'; allowed: none, as bodies are sent as they are",
            headers=[(b"accept-encoding", b"identity")],
        )


class UnknownQuery(BadRequest):
    """A query with a key that the call does not take, or with one twice."""

    def __init__(self, key: str, keys: Iterable[str], *, twice: bool = False) -> None:
        allowed = sorted(keys)
        if twice:
            told = f"query '{key[:80]}': came more than once; allowed: once"
        else:
            near = meant(key[:80], allowed)
            told = f"unknown query key '{key[:80]}'{near}; allowed: {', '.join(allowed) or 'none here'}"
        super().__init__(told, {"key": key[:80], "allowed": allowed})


class NotFound(ServiceError):
    """A path that no route has.

    Args:
        routes: paths of those that may have been meant.
    """

    status = 404
    code = "not_found"

    def __init__(self, method: str, path: str, routes: Iterable[str] = ()) -> None:
        near = meant(path[:200], routes)
        super().__init__(f"no route {method} {path[:200]}{near}; the routes are listed at /docs.json")


class UnknownUseCase(NotFound):
    """A use case that this server does not load."""

    code = "unknown_use_case"

    def __init__(self, name: str, use_cases: Iterable[str]) -> None:
        names = sorted(use_cases)
        near = meant(name[:80], names)
        ServiceError.__init__(
            self,
            f"unknown use case '{name[:80]}'{near}; known: {', '.join(names) or 'none'}",
            {"known": names},
        )


class ManyUseCases(NotFound):
    """A path that stands for the one use case of a server, where there are several."""

    code = "many_use_cases"

    def __init__(self, route: str, use_cases: Iterable[str]) -> None:
        names = sorted(use_cases)
        ServiceError.__init__(
            self,
            f"this server has {len(names)} use cases; ask /v1/{{use_case}}/{route} for one of: "
            f"{', '.join(names)}",
            {"known": names},
        )


class UnknownPrediction(NotFound):
    """A prediction that was never given, or was deleted."""

    code = "unknown_prediction"

    def __init__(self, prediction_id: str) -> None:
        ServiceError.__init__(
            self, f"no prediction '{prediction_id[:80]}' is known; allowed: an `id` that predict answered"
        )


class UnknownLabel(NotFound):
    """A label that was never given, or not by the caller."""

    code = "unknown_label"

    def __init__(self, use_case: str, name: str, own: str | None = None) -> None:
        whose = "" if own is None else f" of key '{own}', which may take back what it said itself"
        ServiceError.__init__(
            self,
            f"'{use_case}' has no label by the id '{name[:80]}'{whose}; allowed: the id of a prediction or "
            "of a record that has one, or what a row without an id is known by ('h:...')",
        )


class UnknownJob(NotFound):
    """A job that was never submitted, or so long ago that nothing is left of it."""

    code = "unknown_job"

    def __init__(self, use_case: str, job_id: str) -> None:
        ServiceError.__init__(
            self, f"'{use_case}' has no job '{job_id[:80]}'; submit one with POST /v1/{use_case}/predictions"
        )


class NoTaxonomy(NotFound):
    """A use case that has nothing to recommend from."""

    code = "no_taxonomy"

    def __init__(self, use_case: str) -> None:
        ServiceError.__init__(
            self, f"use case '{use_case}' has no taxonomy; `taxonomy` in its configuration names one"
        )


class NoRun(NotFound):
    """A run that is not known, or is of another use case."""

    code = "no_run"

    def __init__(self, use_case: str, run_id: str | None) -> None:
        lacking = "no run yet" if run_id is None else f"no run '{run_id[:80]}'"
        ServiceError.__init__(self, f"use case '{use_case}' has {lacking}")


class NoReport(NotFound):
    """A use case of which no drift check has drawn a page yet."""

    code = "no_report"

    def __init__(self, use_case: str) -> None:
        ServiceError.__init__(
            self,
            f"no drift check of '{use_case}' has a report; one has when enough records have come "
            f"(`ratchet drift {use_case}` checks now)",
        )


class NoReplay(NotFound):
    """A replay that is not there, or cannot be shown."""

    code = "no_replay"

    def __init__(self, use_case: str, replay_id: str, why: str) -> None:
        ServiceError.__init__(self, f"replay '{replay_id[:80]}' of '{use_case}' {why}")


class StrangeReport(NotFound):
    """The page of a drift check, where it is not as Evidently writes it, so that code in it might run."""

    code = "no_report"

    def __init__(self, use_case: str, reason: str) -> None:
        ServiceError.__init__(
            self,
            f"the report of the last drift check of '{use_case}' is not shown, as what is in it might run as "
            f"code: {reason}; `ratchet drift {use_case}` draws another",
        )


class VersionNotFound(NotFound):
    """A version that the registry does not have."""

    code = "unknown_version"

    def __init__(self, message: str) -> None:
        ServiceError.__init__(self, message)


class MethodNotAllowed(ServiceError):
    """A method that the route of a path does not have."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: Iterable[str]) -> None:
        names = ", ".join(sorted(allowed))
        super().__init__(
            f"{path[:200]}: got method {method}; allowed: {names}", headers=[(b"allow", names.encode())]
        )


class Conflict(ServiceError):
    """A request that contradicts an earlier one."""

    status = 409
    code = "conflict"


class Expired(ServiceError):
    """An answer that was kept for its time and is gone."""

    status = 410
    code = "expired"

    def __init__(self, use_case: str, job_id: str, keep_hours: float) -> None:
        super().__init__(
            f"the answer of job '{job_id}' of '{use_case}' was kept for {keep_hours:g} hours and is gone; "
            "submit it again"
        )


class Busy(Conflict):
    """A use case that has a run already; `details` name it."""

    code = "busy"

    def __init__(self, use_case: str, run_id: str) -> None:
        super().__init__(
            f"use case '{use_case}' is busy with run {run_id}; wait for it or stop it", {"run_id": run_id}
        )


class NothingToRollBack(Conflict):
    """A use case whose production cannot go back."""

    code = "nothing_to_roll_back"


class VersionDamaged(Conflict):
    """A version whose bytes are not those that were registered; nothing moves to it."""

    code = "version_damaged"


class NotRunning(Conflict):
    """A use case without a run that could be stopped."""

    code = "not_running"


class TooLarge(ServiceError):
    """A body above the limit."""

    status = 413
    code = "too_large"

    def __init__(self, arrived: int | None, limit: int) -> None:
        got = f"{arrived} bytes" if arrived is not None else f"more than {limit} bytes"
        super().__init__(f"the body has {got}; allowed: {limit}", {"limit": limit})


class Invalid(ServiceError):
    """A body that breaks the contract; `details` says where."""

    status = 422
    code = "invalid"


def option_error(error: ValidationError, model: type[BaseModel]) -> Invalid:
    """The first option that pydantic refuses in a body, as an error that says what is allowed."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = meant(str(problem["loc"][-1]), model.model_fields)
        return Invalid(f"unknown option '{key:.80}'; allowed: one of {', '.join(model.model_fields)}{near}")
    allowed = problem["msg"].removeprefix("Input should be ")
    near = meant_choice(problem)
    return Invalid(f"option '{key}': got {problem['input']!r:.80}; allowed: {allowed}{near}")
