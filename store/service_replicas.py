"""The servers that share one database: what each of their processes serves, and which have fallen silent.

Each process of a service writes its row every `BEAT_SECONDS`. One that ends well takes its row away; one that
was killed, or is cut off from the database, is silent, which is all that others can know of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

BEAT_SECONDS = 2.0
SILENT_SECONDS = 10.0
"""Without a beat for so long, a process is silent."""
FORGET_SECONDS = 3600.0
"""Rows of processes that were silent for so long are deleted."""
# A beat that lies ahead is of before the clock was set back; who lives beats again in a moment.
_WITHIN: LiteralString = (
    "(seen_at BETWEEN clock_timestamp() - make_interval(secs => %s) "
    "AND clock_timestamp() + make_interval(secs => %s))"
)
State = Literal["serving", "draining", "silent"]


@dataclass(frozen=True)
class ServedUseCase:
    """What the processes of a server have of one use case."""

    versions: tuple[int, ...]
    """One, save for the moment of a swap; none where there is no model."""
    since: datetime | None
    """Since when all of them serve it."""


@dataclass(frozen=True)
class Replica:
    """One server: a home with its processes."""

    server: str
    """Name of the home, made once."""
    address: str
    state: State
    processes: int
    started_at: datetime
    seen_at: datetime
    """The last beat of any of its processes."""
    serving: Mapping[str, ServedUseCase]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Process:
    server: str
    pid: int
    address: str
    state: State
    started_at: datetime
    seen_at: datetime
    serving: dict[str, list[Any]]


def server_name(home: Path) -> str:
    """The name of a home among the servers of a database, made when it is asked for first."""
    file = _name_file(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(uuid.uuid4().hex)
    except FileExistsError:
        pass
    return file.read_text(encoding="utf-8").strip() or uuid.uuid4().hex


def has_served(home: Path) -> bool:
    """Whether a service was ever started in a home."""
    return _name_file(home).exists()


def beat(
    conn: psycopg.Connection[Any],
    server: str,
    pid: int,
    *,
    address: str,
    started_at: datetime,
    state: State,
    serving: Mapping[str, tuple[int, datetime]],
) -> None:
    """Say that a process lives, and what it serves.

    Args:
        serving: use case to version, and since when.
    """
    told = {name: [version, since.isoformat()] for name, (version, since) in serving.items()}
    conn.execute(
        "INSERT INTO service_process (server, pid, address, started_at, seen_at, state, serving) "
        "VALUES (%(server)s, %(pid)s, %(address)s, %(started_at)s, clock_timestamp(), %(state)s, "
        "%(serving)s) "
        "ON CONFLICT (server, pid) DO UPDATE SET address = excluded.address, "
        "started_at = excluded.started_at, seen_at = excluded.seen_at, state = excluded.state, "
        "serving = excluded.serving",
        {
            "server": server,
            "pid": pid,
            "address": address,
            "started_at": started_at,
            "state": state,
            "serving": Jsonb(told),
        },
    )


def forget(conn: psycopg.Connection[Any], server: str, pid: int) -> None:
    """Take away the row of a process that ends."""
    conn.execute("DELETE FROM service_process WHERE server = %s AND pid = %s", (server, pid))


def forget_gone(conn: psycopg.Connection[Any], server: str, alive: Iterable[int]) -> None:
    """Take away rows of this server's processes other than those alive, and of any that are long silent."""
    conn.execute(
        f"DELETE FROM service_process WHERE (server = %s AND pid <> ALL(%s)) OR NOT {_WITHIN}",
        (server, list(alive), FORGET_SECONDS, FORGET_SECONDS),
    )


def read_replicas(conn: psycopg.Connection[Any]) -> list[Replica]:
    """Every server that has said something of itself, by address."""
    with conn.cursor(row_factory=class_row(_Process)) as cursor:
        processes = cursor.execute(
            "SELECT server, pid, address, started_at, seen_at, serving, "
            f"CASE WHEN {_WITHIN} THEN state ELSE 'silent' END AS state "
            "FROM service_process ORDER BY address, server, pid",
            (SILENT_SECONDS, SILENT_SECONDS),
        ).fetchall()
    servers: dict[str, list[_Process]] = {}
    for one in processes:
        servers.setdefault(one.server, []).append(one)
    return [_replica(members) for members in servers.values()]


def not_heard_since(conn: psycopg.Connection[Any], moment: datetime) -> datetime | None:
    """When a process that has said nothing since that moment was heard last.

    None: all have, or are forgotten. A beat that lies ahead is of before the clock was set back.
    """
    row = conn.execute(
        "SELECT min(seen_at) FROM service_process WHERE seen_at < %s"
        " OR seen_at > clock_timestamp() + make_interval(secs => %s)",
        (moment, SILENT_SECONDS),
    ).fetchone()
    return None if row is None else row[0]


def _name_file(home: Path) -> Path:
    return home / "work" / "server"


def _replica(members: list[_Process]) -> Replica:
    """Processes of one server as one; of those that are heard, where any is: others were killed."""
    heard = [one for one in members if one.state != "silent"] or members
    return Replica(
        heard[0].server,
        heard[0].address,
        "draining" if any(one.state == "draining" for one in heard) else heard[0].state,
        len(heard),
        min(one.started_at for one in heard),
        max(one.seen_at for one in heard),
        {name: _served(name, heard) for name in sorted({name for one in heard for name in one.serving})},
    )


def _served(name: str, processes: Iterable[_Process]) -> ServedUseCase:
    told = [one.serving[name] for one in processes if name in one.serving]
    return ServedUseCase(
        tuple(sorted({int(version) for version, _ in told})),
        max(datetime.fromisoformat(since) for _, since in told),
    )
