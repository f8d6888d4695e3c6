"""Errors of the configuration layer.

ConfigError
├── UnknownUseCase
└── SettingError
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from configs.spelling.near_names import meant


class ConfigError(ValueError):
    """A configuration file that cannot be used; the message names file, key, value and what is allowed."""


class UnknownUseCase(ConfigError):
    """A use case that no configuration file describes.

    Args:
        name: what was asked for.
        use_cases: those that are described.
        folders: where that was looked for; none where it was not among files.
        told: what else is to be said of these folders.
    """

    def __init__(
        self, name: str, use_cases: Iterable[str], folders: Iterable[Path] = (), told: Iterable[str] = ()
    ) -> None:
        self.name = name
        self.use_cases = sorted(use_cases)
        near = meant(name, self.use_cases)
        read = ", ".join(str(folder) for folder in folders)
        where = (
            f"; folders read: {read}; others are named by --configs DIR or RATCHET_CONFIGS" if read else ""
        )
        known = ", ".join(self.use_cases) or "none"
        super().__init__("; ".join([f"unknown use case '{name}'{near}; known: {known}{where}", *told]))


class SettingError(ConfigError):
    """An environment variable with a value that cannot be used."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        self.value, self.allowed = value, allowed
        super().__init__(f"{name} has value '{value}'; allowed: {allowed}")
