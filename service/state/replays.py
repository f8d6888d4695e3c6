"""What GET /v1/{use_case}/replays and /v1/{use_case}/replays/{replay_id} show: what commands have kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from service.errors import NoReplay, Unavailable
from store.replays import (
    DamagedReplay,
    FailedReplay,
    KeptReplay,
    PolicyFigures,
    UnendedReplay,
    find_replay,
    list_replays,
)

REPLAYS = 20
MOST_REPLAYS = 100
"""Default and maximum of `limit`."""
BY_PERIOD = frozenset({"by_period", "promoted_at", "harm", "notes"})
"""Of a policy, what only the whole replay has."""


def describe_replays(home: Path, use_case: str, limit: int) -> bytes:
    """The newest `limit` replays without their periods, and those damaged, failed or not ended, as JSON.

    Raises:
        Unavailable: the folder of replays cannot be read.
    """
    try:
        kept = list_replays(home, use_case, limit)
    except OSError as error:
        raise _unreadable(use_case, error) from error
    return orjson.dumps(
        {
            "use_case": use_case,
            "replays": [_describe(one, BY_PERIOD) for one in kept.ended],
            "unended": [
                {"id": one.id, "fits": one.fits, "last_at": one.last_at.isoformat(), "command": one.command}
                for one in kept.unended
            ],
            "failed": [asdict(one) for one in kept.failed],
            "damaged": [{"id": one.id, "problem": one.problem} for one in kept.damaged],
        }
    )


def describe_replay(home: Path, use_case: str, replay_id: str) -> bytes:
    """One replay with every period of every policy, as JSON.

    Raises:
        NoReplay: there is none with this id, or it cannot be shown.
        Unavailable: the folder of replays cannot be read.
    """
    try:
        kept = find_replay(home, use_case, replay_id)
    except OSError as error:
        raise _unreadable(use_case, error) from error
    if isinstance(kept, DamagedReplay):
        raise NoReplay(use_case, replay_id, f"is damaged ({kept.problem}); `ratchet replay` mends it")
    if isinstance(kept, UnendedReplay):
        raise NoReplay(use_case, replay_id, "has not ended; the same `ratchet replay` goes on where it was")
    if isinstance(kept, FailedReplay):
        raise NoReplay(use_case, replay_id, f"has failed ({kept.error}); once that is mended: {kept.command}")
    if kept is None:
        raise NoReplay(use_case, replay_id, f"is not there; GET /v1/{use_case}/replays lists those that are")
    told = {"use_case": use_case, **_describe(kept), "starts": [_time(one) for one in kept.document.starts]}
    return orjson.dumps(told)


def _describe(kept: KeptReplay, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    document = kept.document
    return {
        "id": kept.id,
        "at": kept.at.isoformat(),
        "source": document.source,
        "periods": document.periods,
        "rows": document.rows,
        "first_rows": document.first_rows,
        "refused": document.refused,
        "delay": document.delay,
        "policies": {name: _figures(one, without) for name, one in document.policies.items()},
        "left_out": document.left_out,
    }


def _figures(policy: PolicyFigures, without: frozenset[str]) -> dict[str, Any]:
    return policy.model_dump(exclude=set(without))


def _time(text: str | None) -> str | None:
    """As RFC 3339; times of rows are in UTC."""
    if text is None or text == "NaT":
        return None
    return text if text.endswith("Z") else f"{text}Z"


def _unreadable(use_case: str, error: OSError) -> Unavailable:
    return Unavailable(f"the replays of '{use_case}' cannot be read from RATCHET_HOME: {error.strerror}")
