"""Sessions of PostgreSQL while all runs: whose they are, where they come from, and whether they have TLS."""

from __future__ import annotations

import threading
from typing import Any, Self

import psycopg

LOOK_SECONDS = 0.5
_SESSIONS = """
SELECT datname, client_addr::text, ssl, coalesce(version, ''), count(*)
FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
WHERE backend_type = 'client backend' AND datname LIKE 'ratchet%' GROUP BY 1, 2, 3, 4
"""


class Sessions:
    """Looks at them twice a second, by a session of its own."""

    def __init__(self, url: str) -> None:
        self.most: dict[tuple[str, str, bool, str], int] = {}
        """Database, address of the client, whether with TLS and by which version, to how many at once."""
        self._url = url
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(20)

    def of(self, database: str, *, tls: bool, client: str | None = None) -> int:
        """Most sessions at once of a database, of one client or of any."""
        return max(
            (
                count
                for (name, address, has, _), count in self.most.items()
                if name == database and has is tls and client in (None, address)
            ),
            default=0,
        )

    def as_dict(self) -> list[dict[str, Any]]:
        """Plain values for JSON."""
        names = ("database", "client", "tls", "version")
        return [{**dict(zip(names, key, strict=True)), "most": count} for key, count in self.most.items()]

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as conn:
            while not self._end.wait(LOOK_SECONDS):
                for *key, count in conn.execute(_SESSIONS):
                    found = (str(key[0]), str(key[1]), bool(key[2]), str(key[3]))
                    self.most[found] = max(count, self.most.get(found, 0))


def refusal(url: str) -> str | None:
    """Why PostgreSQL, or its client, refuses to connect by an address; None: it connects."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return None
