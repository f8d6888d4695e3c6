"""When the flows of a use case run next, as Prefect has it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from configs.security.loopback import open_url
from configs.settings import Settings
from flows.scheduling.deployments import PURPOSES, TAG
from flows.servers.prefect_access import auth_headers

TIMEOUT = 5.0


def next_runs(settings: Settings, use_case: str) -> dict[str, str]:
    """Time (ISO 8601) of the next scheduled run of each flow of a use case.

    Asked over Prefect's REST, because importing its client takes seconds.

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
