"""Web and e-mail addresses in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_WEB = re.compile(r"(?:https?://)?(?:[\w-]{1,63}\.){1,8}[a-z]{2,24}\b(?:[/?#][^\s<>\"']*)?", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")


def find_addresses(text: str) -> tuple[list[str], list[str]]:
    """Web addresses, and the domains of e-mail addresses, in order.

    No address has a space in it, and each has a dot: only such pieces of the text are searched, for a search
    of the whole would take longer than all else that is done with it.

    >>> find_addresses("see www.a.example/b or write to me@b.example.")
    (['www.a.example/b'], ['b.example'])
    """
    webs: list[str] = []
    mails: list[str] = []
    for piece in text.split() if "." in text else ():
        if "." not in piece:
            continue
        if "@" in piece:
            mails += _MAIL.findall(piece)
            piece = _MAIL.sub(" ", piece)
        webs += _WEB.findall(piece)
    return webs, mails


def address_parts(webs: Sequence[str], mails: Sequence[str]) -> Iterator[str]:
    """Host, top domain and depth of web addresses; domain of e-mail addresses."""
    for web in webs:
        host, _, path = re.sub(r"^https?://", "", web.lower()).removeprefix("www.").partition("/")
        yield f"host:{host}"
        yield f"top:{host.rpartition('.')[2]}"
        yield f"depth:{path.count('/') if path else -1}"
    for domain in mails:
        yield f"mail:{domain.lower()}"
        yield f"top:{domain.lower().rpartition('.')[2]}"
