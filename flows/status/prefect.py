"""What Prefect knows: when the flows of a use case run next, and who serves the work pool.

Asked over its REST, because importing its client takes seconds.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from configs.security.loopback import open_url
from configs.settings import Settings
from flows.scheduling.deployments import FIRST_WORKER, PURPOSES, TAG
from flows.servers.prefect_access import auth_headers

TIMEOUT = 5.0
GONE_AFTER = timedelta(hours=1)
"""So long a worker that is silent is still told of, as a service is: Prefect itself forgets none."""


@dataclass(frozen=True)
class PoolWorker:
    """One that starts flow runs, on this machine or another."""

    name: str
    """`ratchet`, or of a second one its host and process."""
    state: Literal["online", "silent"]
    """Silent: not heard for three of its intervals, 90 seconds."""
    seen_at: datetime


def pool_workers(settings: Settings) -> tuple[PoolWorker, ...]:
    """Who serves the work pool, or did until an hour ago; the first worker before those that joined.

    Raises:
        OSError: Prefect does not answer, refuses, or has no such pool.
        ValueError: its answer is none of its own.
    """
    rows = _ask(settings, f"work_pools/{quote(settings.work_pool, safe='')}/workers/filter", {})
    workers = (
        PoolWorker(
            row["name"],
            "online" if row["status"] == "ONLINE" else "silent",
            datetime.fromisoformat(row["last_heartbeat_time"]),
        )
        for row in rows
    )
    since = datetime.now(UTC) - GONE_AFTER
    heard = (one for one in workers if one.state == "online" or one.seen_at > since)
    return tuple(sorted(heard, key=lambda one: (one.name != FIRST_WORKER, one.name)))


def next_runs(settings: Settings, use_case: str) -> dict[str, str]:
    """Time (ISO 8601) of the next scheduled run of each flow of a use case.

    Raises:
        OSError: Prefect does not answer, or refuses.
        ValueError: its answer is none of its own.
    """
    times = {}
    for flow in PURPOSES:
        query = {
            "flow_runs": {
                "tags": {"all_": [TAG, use_case, flow]},
                "state": {"type": {"any_": ["SCHEDULED"]}},
            },
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        }
        runs = _ask(settings, "flow_runs/filter", query)
        if runs:
            times[flow] = str(runs[0]["expected_start_time"])
    return times


def _ask(settings: Settings, call: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{settings.prefect_url}/{call}",
        data=json.dumps(query).encode(),
        headers={"Content-Type": "application/json", **auth_headers(settings)},
    )
    with open_url(request, TIMEOUT) as response:
        answer: list[dict[str, Any]] = json.load(response)
        return answer
