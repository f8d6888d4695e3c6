"""Whether the files of TLS that an address names can be read, before a server is started by it."""

from __future__ import annotations

import os
from pathlib import Path

from configs.addresses.database_url import parameters
from configs.settings import Settings
from store.database.connection import configured_addresses
from store.errors import DatabaseUnavailable

TLS_FILES = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
}
"""Parameters that name a file, and the variable that names it where the address does not."""


def ensure_tls_files(settings: Settings) -> None:
    """Go on only where each file of TLS that an address of the configuration names can be read.

    Raises:
        DatabaseUnavailable: one cannot; the message names the variable, the parameter and the file.
    """
    for variable, url in configured_addresses(settings).items():
        _ensure_readable(url, variable)


def _ensure_readable(url: str, variable: str) -> None:
    """Every mode but `disable` counts: libpq goes on without some that are missing, unverified and unsaid,
    and asyncpg, Prefect's driver, fails on them.

    Raises:
        DatabaseUnavailable: one cannot be read; the message names the parameter and the file.
    """
    chosen = parameters(url)
    if not _tries_tls(chosen):
        return
    for name, own in TLS_FILES.items():
        source, value = (name, chosen[name]) if chosen.get(name) else (own, os.environ.get(own, ""))
        if not value or (name == "sslrootcert" and value == "system"):
            continue
        try:
            with Path(value).open("rb"):
                pass
        except OSError as error:
            where = f"in {variable}" if source == name else "in the environment"
            raise DatabaseUnavailable(
                f"{source} {where} names '{value}', which cannot be read: {error.strerror or error}; "
                "allowed: a file that this user may read, or none"
            ) from error


def _tries_tls(chosen: dict[str, str]) -> bool:
    """Whether a driver would look for TLS: without a word only where a server is not reached by a socket."""
    mode = chosen.get("sslmode") or os.environ.get("PGSSLMODE")
    if mode is not None:
        return mode != "disable"
    hosts = (chosen.get("host") or chosen.get("hostaddr") or os.environ.get("PGHOST", "")).split(",")
    return any(host and not host.startswith(("/", "@")) for host in hosts)
