"""A Prefect of the user's own, which `PREFECT_API_URL` names: what is in the way of using it."""

from __future__ import annotations

import http.client
import json
import os
import urllib.request
from dataclasses import dataclass
from http.client import FORBIDDEN, METHOD_NOT_ALLOWED, NOT_FOUND, UNAUTHORIZED
from urllib.error import HTTPError
from urllib.parse import urlsplit

from configs.addresses.web_url import shown
from configs.security.loopback import open_url
from configs.security.proxies import through_proxy
from configs.settings import Settings
from flows.servers.prefect_access import auth_headers

TIMEOUT = 5.0
CUSTOM_HEADERS = "PREFECT_CLIENT_CUSTOM_HEADERS"
"""Prefect's own: JSON of what its clients send as well, by which a proxy before it may let them in."""


@dataclass(frozen=True)
class _Answer:
    """What came when it was asked for its work pools."""

    status: int
    kind: str
    """Its media type."""
    is_list: bool
    """Whether it is one in JSON, as the work pools are."""

    @property
    def is_of_another(self) -> bool:
        """Whether no API of Prefect's says this; who refuses or fails may be one."""
        succeeded = 200 <= self.status < 300
        return not self.is_list if succeeded else self.status in {NOT_FOUND, METHOD_NOT_ALLOWED}


def own_prefect_problem(settings: Settings) -> str | None:
    """What is in the way of using it, in one sentence; None: nothing is."""
    answer = _ask(settings)
    if answer is None:
        return absence(settings)
    if answer.is_of_another:
        return _misled(settings, answer)
    return None if answer.is_list else refusal(settings, answer.status)


def wrong_address(settings: Settings) -> str | None:
    """In one sentence that what answers there is not Prefect's API; None: it may be, or nothing answers."""
    answer = _ask(settings)
    return _misled(settings, answer) if answer is not None and answer.is_of_another else None


def _ask(settings: Settings) -> _Answer | None:
    """Ask for work pools, as its health it tells to those who may not enter too; None: nothing answers."""
    try:
        own = json.loads(os.environ.get(CUSTOM_HEADERS) or "{}")
        query = urllib.request.Request(
            f"{settings.prefect_url}/work_pools/filter",
            data=json.dumps({"limit": 1}).encode(),
            headers={"Content-Type": "application/json", **auth_headers(settings), **own},
        )
        with open_url(query, TIMEOUT) as response:
            status, kind, body = response.status, response.headers.get_content_type(), response.read()
    except HTTPError as error:
        with error:
            return _Answer(error.code, error.headers.get_content_type(), is_list=False)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    try:
        return _Answer(status, kind, isinstance(json.loads(body), list))
    except ValueError:
        return _Answer(status, kind, is_list=False)


def _misled(settings: Settings, answer: _Answer) -> str:
    address = shown(settings.prefect_url)
    example = "" if urlsplit(address).path.strip("/") else f": {address.rstrip('/')}/api"
    return (
        f"PREFECT_API_URL: what answers at {address} is not Prefect's API (it answered {answer.status} with "
        f"{answer.kind}); the address of a Prefect server's API ends with /api{example}"
    )


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
