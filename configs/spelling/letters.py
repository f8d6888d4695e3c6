"""Letters in one form, however a file or a person wrote them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable


def compose(text: str) -> str:
    r"""The text with its letters composed (Unicode NFC), as most programs write them.

    >>> compose("cafe\u0301") == "caf\u00e9"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def decompose(text: str) -> str:
    """The text with accents as characters of their own (Unicode NFD), as macOS writes names of files."""
    return text if text.isascii() else unicodedata.normalize("NFD", text)


def forms_of(name: str) -> list[str]:
    r"""The name as it is, composed and decomposed: what was kept as it came may have any of these, each once.

    >>> forms_of("plums.csv"), len(forms_of("caf\u00e9.csv"))
    (['plums.csv'], 2)
    """
    return list(dict.fromkeys([name, compose(name), decompose(name)]))


def spelled_like(name: str, names: Collection[str]) -> str:
    r"""The one of `names` that has the same letters, in whichever form; where none has, the name composed.

    >>> spelled_like("cafe\u0301", ["bar", "caf\u00e9"]) == "caf\u00e9"
    True
    """
    if name in names or name.isascii():
        return name
    composed = compose(name)
    return next((one for one in names if compose(one) == composed), composed)


def twice(names: Iterable[str]) -> str | None:
    r"""A name that is there before it with the same letters in another form; None: none is.

    >>> twice(["bar", "caf\u00e9", "cafe\u0301"]) == "cafe\u0301"
    True
    """
    found: set[str] = set()
    for name in names:
        if (composed := compose(name)) in found:
            return name
        found.add(composed)
    return None
