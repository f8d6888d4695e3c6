"""How a canary is tried that a person asks for: as configured, with what they say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.schema import CanaryConfig, UseCase
from configs.schema.base import describe_bound, describe_share


def configured(use_case: UseCase, asked: Mapping[str, Any]) -> CanaryConfig:
    """The configuration of one canary.

    Args:
        asked: keys of `serving.canary` with other values.

    Raises:
        ConfigError: a value is not allowed.
    """
    base = use_case.serving.canary or CanaryConfig()
    try:
        config = CanaryConfig.model_validate({**base.model_dump(), **asked})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        allowed = _bounds_of(key) or first["msg"].removeprefix("Input should be ")
        told = f"{key}: got {first['input']!r}; allowed: {allowed}{describe_share(first)}"
        raise ConfigError(told) from error
    names = [field.name for field in use_case.record.fields]
    if config.key is not None and config.key not in names:
        raise ConfigError(f"key: {use_case.describe_unknown_key(config.key)}")
    return config


def _bounds_of(key: str) -> str:
    """What a number may be, in words; empty where that is not said of it alone."""
    return ", ".join(filter(None, map(describe_bound, CanaryConfig.model_fields[key].metadata)))
