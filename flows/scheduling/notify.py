"""Tells people what happened, through Apprise, from the worker's process.

It reads rows that others have written and nobody waits for it, so no retrain or rollback is held up
or fails because a mail server is away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from configs.schema import NotifyConfig, UseCase
from configs.security.printable import one_line
from configs.settings import Settings
from store.database.connection import connect, database_url
from store.errors import DatabaseUnavailable
from store.notices import Notice, NoticeEvent, add_notice, begin_notices, deliver_next, events_without_notice

POLL_SECONDS = 5.0
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
}
"""By what the row itself calls it."""
_TYPES = {
    "promoted": "success",
    "rejected": "info",
    "rolled_back": "warning",
    "drift": "warning",
    "failed": "failure",
}
"""Apprise's kinds of messages."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Send = Callable[[str, Notice], None]
"""Sends a notice to an address, or raises `NotSent`."""
log = logging.getLogger("prefect.worker.ratchet")


class NotSent(Exception):
    """A notice that could not be delivered; the message never holds the address, which may be secret."""


async def notify_forever(settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
    """Tell what happens, now and then, until cancelled."""
    wanted = {name: one.notify for name, one in use_cases.items() if one.notify is not None}
    begun = False
    while True:
        try:
            if not begun:
                await asyncio.to_thread(begin, settings, wanted)
                begun = True
            if wanted:
                await asyncio.to_thread(tell, settings, wanted)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.warning("what happened cannot be told now: %s", error)
        if begun and not wanted:
            return
        await asyncio.sleep(POLL_SECONDS)


def begin(settings: Settings, wanted: Mapping[str, NotifyConfig]) -> None:
    """Note of which use cases people are told from now on."""
    with connect(database_url(settings), autocommit=True) as conn:
        begin_notices(conn, wanted)


def tell(settings: Settings, wanted: Mapping[str, NotifyConfig], send: Send | None = None) -> int:
    """Write down what is new and send what is due; returns how many were sent.

    Args:
        send: default Apprise.
    """
    deliver = send or send_with_apprise
    urls: dict[str, str] = {}
    sent = 0
    with connect(database_url(settings), autocommit=True) as conn:
        for name, config in wanted.items():
            for url in config.urls:
                urls[target_of(name, url)] = url
                _write_down(conn, name, target_of(name, url), config)

        def attempt(notice: Notice) -> bool:
            try:
                deliver(expand(urls[notice.target]), notice)
            except NotSent as error:
                log.warning("notice '%s' was not delivered: %s", notice.title, error)
                return False
            return True

        while (done := deliver_next(conn, list(urls), attempt)) is not None:
            notice, state = done
            sent += state == "sent"
            if state == "given_up":
                log.error("notice '%s' is given up after %d attempts", notice.title, notice.attempts + 1)
    return sent


def send_test(use_case: UseCase) -> list[str | None]:
    """Send a message to each address of a use case; of each, why it was not delivered, or None."""
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
    """What an address is known by in the database, which does not see the address."""
    return hashlib.sha256(f"{use_case} {url}".encode()).hexdigest()[:24]


def expand(url: str) -> str:
    """An address with the values of the variables that it names.

    Raises:
        NotSent: one is not set.
    """
    if missing := [name for name in _VARIABLE.findall(url) if not os.environ.get(name)]:
        raise NotSent(f"its address names the variable {missing[0]}, which is not set for the worker")
    return _VARIABLE.sub(lambda variable: os.environ[variable[1]], url)


def word(use_case: str, notice_event: NoticeEvent) -> tuple[str, str]:
    """Title and text of what happened."""
    versions = {"to": happening.to_version or "?", "from": happening.from_version or "none"}
    title = f"{use_case}: {_TITLES[happening.kind].format(**versions)}"
    lines = [happening.reason or "no reason was given"]
    if happening.from_version is not None and happening.kind in ("promoted", "rolled_back"):
        lines.append(f"before: version {happening.from_version}")
    if happening.actor:
        lines.append(f"by: {happening.actor}")
    lines.append(f"at: {happening.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    return title, "\n".join(one_line(line) for line in lines)


def send_with_apprise(url: str, notice: Notice) -> None:
    """Send one notice.

    Raises:
        NotSent: the address is none, or who is behind it did not take it.
    """
    import apprise  # slow, and seldom needed

    kind = url.partition("://")[0]
    sender = apprise.Apprise()
    if not sender.add(url):
        raise NotSent(f"Apprise knows no such address; it begins with {kind}://")
    # Plain text, and said so: services that take HTML or Markdown would read values as such.
    sent = sender.notify(
        title=notice.title,
        body=notice.body,
        notify_type=_TYPES[notice.event],
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not sent:
        raise NotSent(f"{kind}:// did not take it")


def _write_down(conn: psycopg.Connection[Any], use_case: str, target: str, config: NotifyConfig) -> None:
    for notice_event in events_without_notice(conn, use_case, target, config.events):
        title, body = word(use_case, notice_event)
        add_notice(conn, use_case, target, notice_event, title, body)
