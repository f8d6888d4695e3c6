"""What the service says of the versions that it is to serve: a registry may name one that it refuses."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Collection, Mapping
from typing import Any

from configs.security.loopback import open_url
from configs.settings import Settings
from flows.stack.probes import client_url

TIMEOUT = 5.0
POLL_SECONDS = 0.2
SETTLE_SECONDS = 15.0
"""How long new workers may take to load a version, or to refuse it."""


def read_health(settings: Settings) -> dict[str, Any]:
    """The use cases as `GET /health` tells them, by name; none where the service does not answer."""
    call = urllib.request.Request(f"{client_url(settings.service_url)}/health")
    try:
        with open_url(call, TIMEOUT) as response:
            told = json.load(response)["use_cases"]
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return {}
    return told if isinstance(told, dict) else {}


def settled_health(
    settings: Settings, names: Collection[str], seconds: float = SETTLE_SECONDS
) -> dict[str, Any]:
    """The same, once these use cases serve or what they should serve is refused, or the time is over.

    Args:
        names: use cases that have production; a worker loads it in the background.
    """
    deadline = time.monotonic() + seconds
    while True:
        told = read_health(settings)
        late = [name for name in names if _is_loading(told.get(name))]
        if not late or time.monotonic() > deadline:
            return told
        time.sleep(POLL_SECONDS)


def problem_of(told: Mapping[str, Any] | None) -> str | None:
    """What is wrong with the versions of a use case in the service, in a sentence; None: nothing is."""
    if told is None:
        return None
    refused = [f"it refuses version {number}: {why}" for number, why in (told.get("refused") or {}).items()]
    postponed = [
        f"it cannot load version {number} now, and tries again: {one['problem']}"
        for number, one in (told.get("postponed") or {}).items()
    ]
    sentences = [*refused, *postponed, *([told["problem"]] if told.get("problem") else [])]
    if not sentences:
        return None
    version = told.get("version")
    serves = "nothing answers" if version is None else f"version {version} answers"
    return f"{'; '.join(sentences)}; {serves}"


def _is_loading(told: Mapping[str, Any] | None) -> bool:
    return told is not None and told.get("state") == "untrained" and problem_of(told) is None
