"""Which use cases a home serves, as the last `ratchet up` or `ratchet reload` has it.

A process cannot be given other environment variables while it runs, so they are in a file of the home, which
servers read when they are told to read their configuration anew. Commands go by it too: what a home serves
it goes on serving, and every command knows it, unless they are told otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from configs.settings import CHECKOUT, Settings

FOLDERS, NAMES = "RATCHET_CONFIGS", "RATCHET_USE_CASES"


@dataclass(frozen=True)
class Recalled:
    """Settings that go by what a home serves, where they are told nothing else."""

    settings: Settings
    gone: tuple[Path, ...] = ()
    """Folders that it served use cases from, and that are no more."""


def served_file(home: Path) -> Path:
    """Where it is written."""
    return home / "served.json"


def write_served(settings: Settings, use_cases: Mapping[str, str]) -> None:
    """Replace what is written at once.

    Args:
        use_cases: name -> digest of its configuration.
    """
    own = settings.config_dirs[1:]
    written = {
        "variables": {
            FOLDERS: os.pathsep.join(str(folder) for folder in own),
            NAMES: ",".join(settings.use_cases),
        },
        "use_cases": dict(use_cases),
        "left_out": [name for name in _described_in(own) if name not in use_cases],
    }
    file = served_file(settings.home)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(written) + "\n", encoding="utf-8")
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
    folders = (CHECKOUT / "configs", *_folders(served))
    return replace(settings, config_dirs=folders, use_cases=_names(served))


def recall(settings: Settings, environ: Mapping[str, str]) -> Recalled:
    """The settings of a command, with what its home serves where the environment does not say that.

    Folders are those that it served from, unless `RATCHET_CONFIGS` is set. Use cases are those that it
    served, as far as files describe them, with those that are new in folders of the user's own, unless
    `RATCHET_USE_CASES` is set. Set and empty is said, too: no folders, and all use cases.
    """
    served, gone = read_served(settings.home), []
    if served and FOLDERS not in environ:
        gone = [folder for folder in _folders(served) if not folder.is_dir()]
        there = [folder for folder in _folders(served) if folder not in gone]
        settings = replace(settings, config_dirs=(CHECKOUT / "configs", *there))
    if NAMES not in environ and (names := _names(served)):
        own, all_of_them = _described_in(settings.config_dirs[1:]), _described_in(settings.config_dirs)
        known = {*names, *_read_left_out(settings.home)}
        goes_on = [name for name in names if name in all_of_them]
        # With none left there is nothing to go on with, and to serve all in their place was not asked for.
        going = tuple(dict.fromkeys([*goes_on, *(name for name in own if name not in known)])) or names
        settings = replace(settings, use_cases=going)
    return Recalled(settings, tuple(gone))


def _described_in(folders: Iterable[Path]) -> list[str]:
    """Names of the use cases that files describe, which are those of the files; none is read."""
    return [path.stem for folder in folders for path in sorted(folder.glob("*.yaml"))]


def _folders(served: Mapping[str, str]) -> list[Path]:
    return [Path(part) for part in served.get(FOLDERS, "").split(os.pathsep) if part]


def _names(served: Mapping[str, str]) -> tuple[str, ...]:
    """None: all."""
    return tuple(name for name in served.get(NAMES, "").split(",") if name)


def _read_left_out(home: Path) -> list[str]:
    """Use cases of the user's own that were there, and that others were named beside."""
    try:
        return [str(name) for name in json.loads(served_file(home).read_text(encoding="utf-8"))["left_out"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read(home: Path, part: str) -> dict[str, str]:
    try:
        read = json.loads(served_file(home).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in read[part].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
