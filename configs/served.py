"""Which use cases the running servers are to serve, as the last `ratchet up` or `ratchet reload` has it.

A process cannot be given other environment variables while it runs, so they are in a file of the home,
which servers read when they are told to read their configuration anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from configs.settings import CHECKOUT, Settings


def served_file(home: Path) -> Path:
    """Where it is written."""
    return home / "served.json"


def write_served(settings: Settings, use_cases: Mapping[str, str]) -> None:
    """Replace what is written at once.

    Args:
        use_cases: name -> digest of its configuration.
    """
    variables = {
        "RATCHET_CONFIGS": os.pathsep.join(str(folder) for folder in settings.config_dirs[1:]),
        "RATCHET_USE_CASES": ",".join(settings.use_cases),
    }
    file = served_file(settings.home)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(
        json.dumps({"variables": variables, "use_cases": dict(use_cases)}) + "\n", encoding="utf-8"
    )
    unfinished.replace(file)


def read_served(home: Path) -> dict[str, str]:
    """Environment variables and their values; none where nothing is written, or it is damaged."""
    return _read(home, "variables")


def read_use_cases(home: Path) -> dict[str, str]:
    """Use cases that the servers have taken up: name -> digest of the configuration."""
    return _read(home, "use_cases")


def with_served(settings: Settings) -> Settings:
    """The settings, with the use cases that are to be served now."""
    served = read_served(settings.home)
    if not served:
        return settings
    folders = [Path(part) for part in served.get("RATCHET_CONFIGS", "").split(os.pathsep) if part]
    names = [name for name in served.get("RATCHET_USE_CASES", "").split(",") if name]
    return replace(settings, config_dirs=(CHECKOUT / "configs", *folders), use_cases=tuple(names))


def _read(home: Path, part: str) -> dict[str, str]:
    try:
        read = json.loads(served_file(home).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in read[part].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
