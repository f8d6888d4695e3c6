"""Prefect's server with its UI, in one process: as `prefect server start` runs it, behind our guard.

Prefect checks neither the name that it is called by nor where a page comes from; by default it lets every
page of the web call it, and asks nobody for a password. Here it is given all three.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from configs.security.origins import Header
from configs.settings import Settings, read_settings
from flows.servers.drivers import asyncpg_address, connect_by
from flows.servers.guard import guard_app, own_origins
from flows.servers.prefect_access import ensure_password
from flows.servers.prefect_notices import listen_by
from flows.servers.sign_in import NewUiRedirect, SignIn
from store.database.connection import tool_url
from store.database.sessions import own_sessions, session_url

HOST = "127.0.0.1"
DATABASES = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"


def serve(settings: Settings) -> None:
    """Serve until the process is told to end."""
    # Here and not in the environment of the process, where others that may look at processes would see it.
    os.environ["PREFECT_SERVER_API_AUTH_STRING"] = ensure_password(settings)
    own = own_origins(settings.prefect_port)
    origins = ",".join([*own, *filter(None, [os.environ.get(ORIGINS)])])
    os.environ[ORIGINS] = origins

    if not any(os.environ.get(name) for name in DATABASES):  # else the user has said where
        url = tool_url(session_url(settings), "prefect")
        os.environ[DATABASES[0]] = asyncpg_address(url)
        pooled = not own_sessions(url)
        connect_by(url, pooled=pooled)
        listen_by(None if pooled else url)

    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    api = get_current_settings().server.api
    uvicorn.run(
        guard_app(
            SignIn(NewUiRedirect(create_app(final=True))),
            settings,
            settings.prefect_port,
            origins,
            [policy(own)],
        ),
        host=HOST,
        port=settings.prefect_port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(),
    )


def policy(own: Sequence[str]) -> Header:
    """Has browsers ask this server only: before somebody has signed in, Prefect's page calls a tracker.

    No setting turns that off, because the page reads the setting from the API, which wants the password.
    """
    sockets = [origin.replace("http", "ws", 1) for origin in own]
    sources = (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
        f"connect-src 'self' {' '.join([*own, *sockets])}",
        "frame-ancestors 'self'",
        "base-uri 'self'",
        "form-action 'self'",
    )
    return b"content-security-policy", "; ".join(sources).encode()


if __name__ == "__main__":
    serve(read_settings())
