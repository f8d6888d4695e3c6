"""Addresses of the running servers for people, and how to sign in there."""

from __future__ import annotations

import os

from configs.addresses.web_url import shown
from configs.settings import CHECKOUT, Settings
from flows.servers.prefect_access import VARIABLES, password_file, profiles_file
from flows.stack.probes import client_url


def addresses(settings: Settings) -> dict[str, str]:
    """The service, its page, and those of Prefect and MLflow, as they are shown."""
    service = client_url(settings.service_url)
    return {
        "service": service,
        "page": f"{service}/ui",
        "prefect": shown(settings.prefect_url).removesuffix("/api"),
        "mlflow": shown(settings.mlflow_uri),
    }


def sign_in_hint(settings: Settings) -> str:
    """How to sign in to Prefect's UI, in one sentence."""
    if any(os.environ.get(name) for name in VARIABLES):
        return f"its password is the value of {' or '.join(VARIABLES)}"
    return f"its password is the line in {password_file(settings.home)}"


def access_hints(settings: Settings) -> list[str]:
    """Hints on access for people, a sentence each: which command to use, or which variable to set."""
    if not settings.starts_prefect:
        return []
    hints = [f"Sign in to Prefect with `ratchet open prefect`. By hand: {sign_in_hint(settings)}."]
    if settings.home != CHECKOUT / ".ratchet":
        hints.append(
            f"For the command `prefect`: export PREFECT_PROFILES_PATH={profiles_file(settings.home)}"
        )
    return hints
