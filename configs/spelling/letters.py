"""Letters in one form, however a file or a person wrote them."""

from __future__ import annotations

import unicodedata


def compose(text: str) -> str:
    r"""The text with its letters composed (Unicode NFC), as most programs write them.

    >>> compose("cafe\u0301") == "caf\u00e9"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def decompose(text: str) -> str:
    """The text with accents as characters of their own (Unicode NFD), as macOS writes names of files."""
    return text if text.isascii() else unicodedata.normalize("NFD", text)
