"""Watches made of others."""

from __future__ import annotations

from models.estimator import SilentWatch, Watch


class OnlyStops(SilentWatch):
    """For a fit beside the one that is watched: it ends with it, and says nothing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def should_stop(self) -> bool:
        """Whether the one that is watched should."""
        return self._watch.should_stop()
