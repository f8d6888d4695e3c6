"""Going back over HTTP: who, why, and to which version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from models.errors import ArtifactDamaged, NoProduction, NothingBefore, RegistryUnavailable, UnknownVersion
from models.production.contract import RegistryClient
from models.production.rollback import roll_back
from service.errors import (
    DatabaseAway,
    NothingToRollBack,
    RegistryAway,
    VersionDamaged,
    VersionNotFound,
)
from service.http.key_ring import Caller
from service.runs.options import read_options
from service.storage.database import AWAY, Database

REASON = "asked for over HTTP"
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""What the ledger can hold."""


class RollbackRequest(BaseModel):
    """What may be said of a rollback."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    reason: Text = REASON
    actor: Text | None = None


def go_back(
    database: Database,
    registry: RegistryClient,
    cache_dir: Path,
    use_case: str,
    body: bytes,
    caller: Caller | None = None,
) -> dict[str, Any]:
    """Move production back; servers hear of it before this returns.

    Raises:
        NothingToRollBack: there is no version before, or it is production already.
        VersionNotFound: the registry has no such version.
        VersionDamaged: its bytes are not those that were registered.
        RegistryAway, DatabaseAway: nothing was moved, or what was begun is settled by the next move.
    """
    asked = read_options(body, RollbackRequest)
    actor = _actor(asked.actor, caller)
    try:
        # A connection of its own: on one that turned out stale the whole would be done twice.
        with database.open() as conn:
            done = roll_back(
                conn, registry, use_case,
                to=asked.to, actor=actor, reason=asked.reason, cache_dir=cache_dir,
            )  # fmt: skip
    except (NoProduction, NothingBefore) as error:
        raise NothingToRollBack(str(error)) from error
    except UnknownVersion as error:
        raise VersionNotFound(str(error)) from error
    except ArtifactDamaged as error:
        raise VersionDamaged(str(error)) from error
    except RegistryUnavailable as error:
        raise RegistryAway(str(error)) from error
    except AWAY as error:
        raise DatabaseAway(str(error)) from error
    return {
        "use_case": use_case,
        "from": done.from_version,
        "to": done.to_version,
        "actor": done.actor,
        "reason": done.reason,
    }


def _actor(named: str | None, caller: Caller | None) -> str:
    """Who it was, for the ledger: the key cannot be made up, the name that somebody gives can."""
    if caller is None:
        return named or "http"
    return f"{named} (key {caller.name})" if named else f"key {caller.name}"
