"""Which state of the code made a version: the commit of the checkout."""

from __future__ import annotations

from functools import cache
from subprocess import CalledProcessError, run

from configs.settings import CHECKOUT


@cache
def code_revision() -> str:
    """Commit of the checkout, with `+changes` when files differ from it."""
    try:
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    # Without locks: a run that is killed here would leave one behind, and nobody could commit any more.
    command = ["git", "--no-optional-locks", *words]
    answer = run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()
