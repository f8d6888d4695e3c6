"""A Prefect of the user's own, which `PREFECT_API_URL` names: what is in the way of using it."""

from __future__ import annotations

import http.client
import json
import os
import urllib.request
from http.client import FORBIDDEN, UNAUTHORIZED
from urllib.error import HTTPError

from configs.addresses.web_url import shown
from configs.security.loopback import open_url
from configs.security.proxies import through_proxy
from configs.settings import Settings
from flows.servers.prefect_access import auth_headers

TIMEOUT = 5.0


def own_prefect_problem(settings: Settings) -> str | None:
    """What is in the way of using it, in one sentence; None: nothing is.

    Asked for its work pools, as its health it tells to those who may not enter too.
    """
    query = urllib.request.Request(
        f"{settings.prefect_url}/work_pools/filter",
        data=json.dumps({"limit": 1}).encode(),
        headers={"Content-Type": "application/json", **auth_headers(settings)},
    )
    try:
        with open_url(query, TIMEOUT) as response:
            response.read()
    except HTTPError as error:
        with error:
            return refusal(settings, error.code)
    except (OSError, ValueError, http.client.HTTPException):
        return absence(settings)
    return None


def refusal(settings: Settings, status: int) -> str:
    """That it answers with an error, and what that asks for."""
    way = ""
    if status in {UNAUTHORIZED, FORBIDDEN}:
        way = "; set PREFECT_API_AUTH_STRING to what its server wants (a second worker: what the first has)"
    return f"PREFECT_API_URL: {shown(settings.prefect_url)} answers {status}{way}"


def absence(settings: Settings, reason: str = "") -> str:
    """That it does not answer."""
    place = f"{shown(settings.prefect_url)}{through_proxy(settings.prefect_url, os.environ)}"
    return f"PREFECT_API_URL: nothing of Prefect answers at {place}{reason and f': {reason}'}"
