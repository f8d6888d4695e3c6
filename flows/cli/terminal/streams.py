"""Standard output and error as a command may find them: without UTF-8, or closed."""

from __future__ import annotations

import codecs
import io
import os
import sys

PLAIN = "ratchet_plain"
"""Name of the error handler by which letters that a terminal does not have are written."""
_NEAR = {"–": "-", "—": "-", "…": "...", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "×": "x", "·": "-"}


def write_plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an encoding does not have: a near sign, else the letter's number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_NEAR.get(one) or ascii(one)[1:-1] for one in letters), error.end


def prepare_streams() -> None:
    """Have every text be printed, whatever the locale, and printing do nothing where the stream is closed."""
    codecs.register_error(PLAIN, write_plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
