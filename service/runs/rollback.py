"""POST /v1/{use_case}/rollback: production goes back to an earlier version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from models.canary.going_back import go_back
from models.errors import (
    ArtifactDamaged,
    CannotLoadNow,
    NoProduction,
    NothingBefore,
    RegistryUnavailable,
    UnknownVersion,
)
from models.production.contract import RegistryClient
from service.answers.options import read_options
from service.errors import (
    NothingToRollBack,
    RegistryAway,
    Unavailable,
    VersionDamaged,
    VersionNotFound,
)
from service.http.key_ring import Caller
from service.storage.database import Database

REASON = "asked for over HTTP"
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""Strings that the ledger can hold: 1 to 1000 characters, no NUL."""


class RollbackRequest(BaseModel):
    """Options of a rollback; `to` is a version, by default the one that was production before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Text = REASON
    actor: Text | None = None


def execute_rollback(
    database: Database,
    registry: RegistryClient,
    cache_dir: Path,
    use_case: str,
    body: bytes,
    caller: Caller | None = None,
) -> dict[str, Any]:
    """Roll production back; all servers are notified before this returns.

    Args:
        body: JSON of a `RollbackRequest`, or empty.
        caller: the key of the request; None where the server has no keys.

    Raises:
        NothingToRollBack: there is no version before, or it is production already, and nothing is tried.
        VersionNotFound: the registry has no such version.
        VersionDamaged: its bytes are not those that were registered.
        Unavailable: they cannot be read now.
        RegistryAway, DatabaseAway: nothing was moved, or what was begun is settled by the next move.
    """
    options = read_options(body, RollbackRequest)
    with _as_service_errors(), database.session() as conn:
        move = go_back(
            conn,
            registry,
            use_case,
            to=options.to,
            actor=_actor(options.actor, caller),
            reason=options.reason,
            cache_dir=cache_dir,
        )
    return {
        "use_case": use_case,
        "from": move.from_version,
        "to": move.to_version,
        "actor": move.actor,
        "reason": move.reason,
    }


@contextmanager
def _as_service_errors() -> Iterator[None]:
    """Raise errors of the registry as errors with an HTTP status."""
    try:
        yield
    except (NoProduction, NothingBefore) as error:
        raise NothingToRollBack(str(error)) from error
    except UnknownVersion as error:
        raise VersionNotFound(str(error)) from error
    except ArtifactDamaged as error:
        raise VersionDamaged(str(error)) from error
    except CannotLoadNow as error:
        raise Unavailable(str(error), retry_after=2) from error
    except RegistryUnavailable as error:
        raise RegistryAway(str(error)) from error


def _actor(requested: str | None, caller: Caller | None) -> str:
    """Who rolled back, for the ledger: a key is proven, a name that a request gives is not."""
    if caller is None:
        return requested or "http"
    return f"{requested} (key {caller.name})" if requested else f"key {caller.name}"
