"""A fit followed from elsewhere: how far it is, now and then, and whether anybody waits for it still."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any


class ReportingWatch:
    """Tells whoever asked for a fit how far it is, and ends it when they say so (a `Watch`)."""

    MIN_SECONDS = 0.2
    """Between two reports of batches."""

    def __init__(self, report: Callable[..., None], should_stop: Callable[[], bool]) -> None:
        self.curves: list[tuple[int, dict[str, float]]] = []
        """Epoch and its metrics: the learning curve."""
        self._report = report
        self._should_stop = should_stop
        self._reported_at = 0.0

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """After each batch, at most a few times a second."""
        if time.monotonic() - self._reported_at >= self.MIN_SECONDS:
            self._reported_at = time.monotonic()
            self._say(epoch=epoch, batch=batch, batches=batches, **metrics)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """After each epoch."""
        self.curves.append((epoch, {name: float(value) for name, value in metrics.items()}))
        self._say(epoch=epoch, epochs=epochs, **metrics)

    def should_stop(self) -> bool:
        """Whether the fit must end now."""
        return self._should_stop()

    def _say(self, **details: Any) -> None:
        # JSON has no infinite loss, nor one that is no number; nor has it numpy's numbers.
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in details.items()}
        self._report(**{name: value for name, value in plain.items() if math.isfinite(value)})
