"""What Prefect knows: when the flows of a use case run next, and who serves the work pool.

Asked over its REST, because importing its client takes seconds.
"""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from configs.security.loopback import open_url
from configs.settings import Settings
from flows.scheduling.deployments import EARLIER_WORKER, PURPOSES, TAG
from flows.servers.prefect_access import auth_headers

TIMEOUT = 5.0
ABREAST = 4
"""Questions at a time; asked one by one, a slow server is waited for once for each flow of each use case."""
SHOWN = 80
"""Characters of an answer that is none which are told."""
GONE_AFTER = timedelta(hours=1)
"""So long a worker that is silent is still told of, as a service is: Prefect itself forgets none."""


@dataclass(frozen=True)
class PoolWorker:
    """One that starts flow runs, on this machine or another."""

    name: str
    """Its host and home, or of one that joined its host and process."""
    state: Literal["online", "silent"]
    """Silent: not heard for three of its intervals, 90 seconds."""
    seen_at: datetime


def pool_workers(settings: Settings) -> tuple[PoolWorker, ...]:
    """Who serves the work pool, or did until an hour ago; workers of `ratchet up` before those that joined.

    The one that all of them were in earlier releases is none that has died: it goes on by another name.

    Raises:
        OSError: Prefect does not answer, refuses, or has no such pool.
        ValueError: its answer is none of its own.
    """
    rows = _ask(settings, f"work_pools/{quote(settings.work_pool, safe='')}/workers/filter", {})
    workers = [_worker(row) for row in rows]
    since = datetime.now(UTC) - GONE_AFTER
    heard = (
        one
        for one in workers
        if one.state == "online" or (one.seen_at > since and one.name != EARLIER_WORKER)
    )
    return tuple(sorted(heard, key=lambda one: (":" not in one.name, one.name)))


def next_runs(settings: Settings, use_cases: Iterable[str]) -> dict[str, dict[str, str]]:
    """Time (ISO 8601) of the next scheduled run of each flow, by use case.

    Raises:
        OSError: Prefect does not answer, or refuses.
        ValueError: its answer is none of its own.
    """
    times: dict[str, dict[str, str]] = {use_case: {} for use_case in use_cases}
    asked = [(use_case, flow) for use_case in times for flow in PURPOSES]
    with ThreadPoolExecutor(max_workers=ABREAST) as pool:  # of those that wait none is asked once one failed
        for (use_case, flow), at in zip(
            asked, pool.map(lambda one: _next_run(settings, *one), asked), strict=True
        ):
            if at is not None:
                times[use_case][flow] = at
    return times


def _worker(row: Mapping[str, Any]) -> PoolWorker:
    try:
        seen_at = datetime.fromisoformat(row["last_heartbeat_time"])
        name, is_online = str(row["name"]), row["status"] == "ONLINE"
    except (KeyError, TypeError) as error:
        raise _no_answer(row) from error
    if seen_at.tzinfo is None:
        raise _no_answer(row)
    return PoolWorker(name, "online" if is_online else "silent", seen_at)


def _next_run(settings: Settings, use_case: str, flow: str) -> str | None:
    query = {
        "flow_runs": {
            "tags": {"all_": [TAG, use_case, flow]},
            "state": {"type": {"any_": ["SCHEDULED"]}},
        },
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 1,
    }
    runs = _ask(settings, "flow_runs/filter", query)
    if not runs:
        return None
    try:
        at = str(runs[0]["expected_start_time"])
    except KeyError as error:
        raise _no_answer(runs[0]) from error
    datetime.fromisoformat(at)  # it is shown as a time
    return at


def _ask(settings: Settings, call: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{settings.prefect_url}/{call}",
        data=json.dumps(query).encode(),
        headers={"Content-Type": "application/json", **auth_headers(settings)},
    )
    try:
        with open_url(request, TIMEOUT) as response:
            answer = json.load(response)
    except http.client.HTTPException as error:
        raise OSError(f"what answers does not speak HTTP to its end: {error!r}") from error
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise _no_answer(answer)
    return answer


def _no_answer(came: Any) -> ValueError:
    return ValueError(f"{json.dumps(came)[:SHOWN]} is no answer of Prefect's")
