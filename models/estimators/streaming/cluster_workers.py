"""Which workers a cluster of Dask has."""

from __future__ import annotations

from typing import Any

SILENCE = 15.0
"""Seconds after which a worker that nothing was heard of is passed over; they are heard of every few."""


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """What the scheduler says of each worker, by address.

    Asked of the scheduler itself: what `Client.scheduler_info` gives may have been replaced, by what the
    client asks every other second, with an answer that names none.

    Args:
        client: of `distributed`, connected.
    """
    told: dict[str, dict[str, Any]] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return told


def awake(client: Any, silence: float = SILENCE) -> list[str]:
    """Addresses of the workers that were heard of lately: one that is frozen takes rows without an answer.

    None of a cluster that was given up, and its client closed.
    """
    if client.status != "running":
        return []
    workers = workers_of(client)
    # By the scheduler's clock alone: that of this machine may be another.
    newest = max((one["last_seen"] for one in workers.values()), default=0.0)
    return sorted(name for name, one in workers.items() if newest - one["last_seen"] <= silence)
