"""Notifications through Apprise, sent from the worker's process.

They are made from rows of the ledger, of runs, drift checks, sources and shadow versions, and nobody waits
for them, so no retrain or rollback is held up or fails because a mail server is away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from configs.schema import NotifyConfig, UseCase
from configs.security.printable import one_line
from configs.settings import Settings
from store.database.connection import connect, database_url
from store.database.faults import sentence
from store.errors import DatabaseError
from store.notices import (
    Notice,
    NoticeEvent,
    add_notice,
    begin_again_ahead,
    begin_notices,
    deliver_next,
    events_without_notice,
    is_since_start,
)
from store.supervision import read_supervision

POLL_SECONDS = 5.0
"""Between two looks for new rows and notices that are due."""
_TITLES = {
    "promoted": "version {to} is production",
    "rejected": "version {to} was not promoted",
    "too_little_evidence": "version {to} was not promoted: too little evidence",
    "held_back": "version {to} is held back",
    "rolled_back": "went back to version {to}",
    "refused": "version {to} is refused",
    "failed": "a retrain failed",
    "lost": "a retrain was lost",
    "drift": "drift",
    "source": "a source of labels is held back",
    "probation": "what was promoted seems worse than what was before",
    "canary": "version {to} is tried on a share of the requests",
    "canary_held": "version {to} is tried, and a person must look before it becomes production",
    "canary_ended": "version {from} is tried no more",
    "shadow": "version {to} is not asked any more beside production",
    "down": "server {server} keeps failing",
    "back": "server {server} is back",
}
"""Titles by kind: event of the ledger, status of a run, verdict of a drift check, or what befell others."""
_TYPES = {
    "promoted": "success",
    "rejected": "info",
    "rolled_back": "warning",
    "drift": "warning",
    "source": "warning",
    "probation": "warning",
    "canary": "info",
    "shadow": "warning",
    "failed": "failure",
    "server": "warning",
}
"""Event of the configuration to Apprise's type of message."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Send = Callable[[str, Notice], None]
"""Sends a notice to a URL of Apprise, or raises `NotSent`."""
log = logging.getLogger("prefect.worker.ratchet")


class NotSent(Exception):
    """A notice that could not be delivered; the message never holds the URL, which may be secret."""


async def notify_forever(settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
    """Send notices of what happens every `POLL_SECONDS`, until cancelled; ends if no use case wants any."""
    configs = {name: use_case.notify for name, use_case in use_cases.items() if use_case.notify is not None}
    silent, is_started = use_cases.keys() - configs, False
    while True:
        try:
            if not is_started:
                await asyncio.to_thread(start_notices, settings, configs, silent)
                is_started = True
            if configs:
                await asyncio.to_thread(send_due_notices, settings, configs)
        except (psycopg.Error, DatabaseError) as error:
            log.warning("what happened cannot be told now: %s", sentence(error))
        if is_started and not configs:
            return
        await asyncio.sleep(POLL_SECONDS)


def start_notices(settings: Settings, use_cases: Iterable[str], silent: Iterable[str] = ()) -> None:
    """Store which use cases have notices, and which none; they have them of what happens from now on."""
    with connect(database_url(settings), autocommit=True) as conn:
        begin_notices(conn, use_cases, silent)


def send_due_notices(
    settings: Settings, configs: Mapping[str, NotifyConfig], send: Send | None = None
) -> int:
    """Store notices of what is new and send those that are due; returns how many were sent.

    Args:
        configs: by use case.
        send: default Apprise.
    """
    with connect(database_url(settings), autocommit=True) as conn:
        begin_again_ahead(conn)
        urls: dict[str, str] = {}
        for use_case, config in configs.items():
            for url in config.urls:
                target = target_of(use_case, url)
                urls[target] = url
                _add_notices(conn, use_case, target, config)
        _add_server_notices(conn, settings, configs)
        return _deliver_all(conn, urls, send or send_with_apprise)


def _add_notices(conn: psycopg.Connection[Any], use_case: str, target: str, config: NotifyConfig) -> None:
    for event in events_without_notice(conn, use_case, target, config.events):
        title, body = compose_message(use_case, event)
        add_notice(conn, use_case, target, event, title, body)


def _add_server_notices(
    conn: psycopg.Connection[Any], settings: Settings, configs: Mapping[str, NotifyConfig]
) -> None:
    """Tell of servers that keep failing, or are back: each address once, whichever use cases name it."""
    supervision = read_supervision(settings.home)
    for event in () if supervision is None else supervision.events:
        happened = NoticeEvent(
            f"server:{event.name}", "server", event.kind, datetime.fromtimestamp(event.at, UTC),
            "", None, None, event.reason,
        )  # fmt: skip
        told: set[str] = set()
        for use_case, config in configs.items():
            for url in config.urls if "server" in config.events else ():
                if url not in told and is_since_start(conn, use_case, happened.at):
                    told.add(url)
                    title, body = compose_message(f"ratchet on {socket.gethostname()}", happened)
                    add_notice(conn, use_case, target_of(use_case, url), happened, title, body)


def _deliver_all(conn: psycopg.Connection[Any], urls: Mapping[str, str], send: Send) -> int:
    """Send the notices that are due to these targets; returns how many were sent."""

    def try_send(notice: Notice) -> bool:
        try:
            send(expand(urls[notice.target]), notice)
        except NotSent as error:
            log.warning("notice '%s' was not delivered: %s", notice.title, error)
            return False
        return True

    sent = 0
    while (delivery := deliver_next(conn, list(urls), try_send)) is not None:
        notice, state = delivery
        sent += state == "sent"
        if state == "given_up":
            log.error("notice '%s' is given up after %d attempts", notice.title, notice.attempts + 1)
    return sent


def send_test(use_case: UseCase) -> list[str | None]:
    """Send a test message to each URL of a use case; for each, why it was not delivered, or None."""
    now = datetime.now(UTC)
    title, body = f"{use_case.name}: a test", f"Sent by hand at {now:%Y-%m-%d %H:%M:%S} UTC."
    notice = Notice(0, use_case.name, "rejected", "", title, body, now, 0)
    problems: list[str | None] = []
    for url in () if use_case.notify is None else use_case.notify.urls:
        try:
            send_with_apprise(expand(url), notice)
        except NotSent as error:
            problems.append(str(error))
        else:
            problems.append(None)
    return problems


def target_of(use_case: str, url: str) -> str:
    """The name of a URL in the database, a hash, as the URL itself may be secret."""
    return hashlib.sha256(f"{use_case} {url}".encode()).hexdigest()[:24]


def expand(url: str) -> str:
    """The URL, with the values of the environment variables that it names as `${NAME}`.

    Raises:
        NotSent: a variable is not set.
    """
    if missing := [name for name in _VARIABLE.findall(url) if not os.environ.get(name)]:
        raise NotSent(f"its address names the variable {missing[0]}, which is not set for the worker")
    return _VARIABLE.sub(lambda match: os.environ[match[1]], url)


def compose_message(use_case: str, event: NoticeEvent) -> tuple[str, str]:
    """Title and text of a notice."""
    versions = {"to": event.to_version or "?", "from": event.from_version or "none"}
    versions["server"] = event.source.partition(":")[2].partition(":")[0]
    title = f"{use_case}: {_TITLES[event.kind].format(**versions)}"
    lines = [event.reason or "no reason was given"]
    if event.from_version is not None and event.kind in ("promoted", "rolled_back"):
        lines.append(f"before: version {event.from_version}")
    if event.actor:
        lines.append(f"by: {event.actor}")
    lines.append(f"at: {event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    return title, "\n".join(one_line(line) for line in lines)


def send_with_apprise(url: str, notice: Notice) -> None:
    """Send one notice.

    Raises:
        NotSent: Apprise does not know such a URL, or the service behind it refused the notice.
    """
    import apprise  # slow, and seldom needed

    kind = url.partition("://")[0]
    sender = apprise.Apprise()
    if not sender.add(url):
        raise NotSent(f"Apprise knows no such address; it begins with {kind}://")
    # Plain text, and said so: services that take HTML or Markdown would read values as such.
    is_sent = sender.notify(
        title=notice.title,
        body=notice.body,
        notify_type=_TYPES[notice.event],
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not is_sent:
        raise NotSent(f"{kind}:// did not take it")
