"""What the parts have in common that swap versions in one worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.answers.slot import Slot
from service.metrics import Metrics
from service.storage.database import Database
from service.swap.links import Links
from service.swap.loading import Loader


@dataclass(frozen=True)
class Station:
    """Where versions come from, and where they go."""

    slots: Mapping[str, Slot]
    chains: Mapping[str, Links]
    """Of use cases that have one."""
    loader: Loader
    database: Database
    metrics: Metrics
