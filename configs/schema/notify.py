"""Notifications: which events, and to which addresses."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from configs.schema.base import Frozen

NotifyEvent = Literal[
    "promoted",
    "rejected",
    "rolled_back",
    "failed",
    "drift",
    "source",
    "probation",
    "canary",
    "shadow",
    "server",
]


class NotifyConfig(Frozen):
    """Notifications that the worker sends: which events, and to which addresses."""

    urls: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """Addresses as Apprise writes them (`mailto://...`, `json://...`); `${NAME}` stands for a variable."""
    events: Annotated[tuple[NotifyEvent, ...], Field(min_length=1)] = get_args(NotifyEvent)
    """Of `promoted`, `rejected` (or not proven, or held back), `rolled_back`, `failed`, `drift`,
    `source` (one is held back), `probation` (what was promoted seems worse, and stays), `canary`
    (one is tried, or was taken back), `shadow` (one was given up), and `server` (one keeps failing, or is
    back)."""

    @model_validator(mode="after")
    def _addresses_have_a_kind(self) -> Self:
        for number, url in enumerate(self.urls):
            # The value may hold a secret, so the message does not show it.
            if not re.match(r"[a-z][a-z0-9+.-]*://.|\$\{", url):
                raise ValueError(f"url {number} is no address; allowed: kind://..., or ${{NAME}}")
        return self
