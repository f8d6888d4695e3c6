"""Errors of the configuration layer.

ConfigError
├── UnknownUseCase
└── SettingError
"""

from __future__ import annotations

from collections.abc import Iterable

from configs.near_names import meant


class ConfigError(ValueError):
    """A configuration file that cannot be used; the message names file, key, value and what is allowed."""


class UnknownUseCase(ConfigError):
    """A use case that no configuration file describes."""

    def __init__(self, name: str, use_cases: Iterable[str]) -> None:
        self.name = name
        self.use_cases = sorted(use_cases)
        near = meant(name, self.use_cases)
        super().__init__(f"unknown use case '{name}'{near}; known: {', '.join(self.use_cases) or 'none'}")


class SettingError(ConfigError):
    """An environment variable with a value that cannot be used."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name} has value '{value}'; allowed: {allowed}")
