"""How to see again what the demo made, once its servers are stopped: the exact command."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def seeing_again(home: Path, use_case: str, environ: Mapping[str, str]) -> str:
    """What stays, and until when, with the command that starts the demo's servers on it, in two lines.

    Args:
        home: of the demo.
        environ: of the shell that the command is for; what the demo leaves aside of it the command does too.
    """
    variables = {"RATCHET_HOME": _from_here(home)}
    if environ.get("RATCHET_STORAGE"):
        variables["RATCHET_STORAGE"] = ""
    if "RATCHET_USE_CASES" in environ:
        variables["RATCHET_USE_CASES"] = use_case
    if environ.get("RATCHET_API_KEYS"):
        variables["RATCHET_API_KEYS"] = ""
    assigned = " ".join(f"{name}={shlex.quote(value) if value else ''}" for name, value in variables.items())
    return (
        f"To see it again, at the addresses above: {assigned} {_program(environ)} up\n"
        f"What it made stays in {_from_here(home)} until that folder is deleted, or the next demo begins."
    )


def _program(environ: Mapping[str, str]) -> str:
    """As that shell finds it."""
    if shutil.which("ratchet", path=environ.get("PATH", "")):
        return "ratchet"
    return shlex.quote(_from_here(Path(sys.executable).parent / "ratchet"))


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
