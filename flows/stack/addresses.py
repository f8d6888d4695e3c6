"""Where to look once everything is up."""

from __future__ import annotations

import os

from configs.settings import CHECKOUT, Settings
from flows.stack.health import reachable
from flows.stack.prefect_access import VARIABLES, password_file, profiles_file


def addresses(settings: Settings) -> dict[str, str]:
    """The service, its page, and those of Prefect and MLflow."""
    service = reachable(settings.service_url)
    return {
        "service": f"{service}/v1",
        "page": f"{service}/ui",
        "prefect": settings.prefect_url.removesuffix("/api"),
        "mlflow": settings.mlflow_uri,
    }


def sign_in_hint(settings: Settings) -> str:
    """How to sign in to Prefect's UI, in one sentence."""
    if any(os.environ.get(name) for name in VARIABLES):
        return f"Prefect asks for a password: the value of {' or '.join(VARIABLES)}"
    return f"Prefect asks for a password: the line in {password_file(settings.home)}"


def access_hints(settings: Settings) -> dict[str, str]:
    """What else a person needs to know to come in: by which command, or what to set."""
    if not settings.starts_prefect:
        return {}
    hints = {"sign in": f"`ratchet open prefect`, or: {sign_in_hint(settings)}"}
    if settings.home != CHECKOUT / ".ratchet":
        hints["prefect command"] = f"export PREFECT_PROFILES_PATH={profiles_file(settings.home)}"
    return hints
