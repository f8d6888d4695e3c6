"""Where to look once everything is up."""

from __future__ import annotations

from configs.settings import Settings
from flows.stack.health import reachable


def addresses(settings: Settings) -> dict[str, str]:
    """The service, its page, and those of Prefect and MLflow."""
    service = reachable(settings.service_url)
    return {
        "service": f"{service}/v1",
        "page": f"{service}/ui",
        "prefect": settings.prefect_url.removesuffix("/api"),
        "mlflow": settings.mlflow_uri,
    }
