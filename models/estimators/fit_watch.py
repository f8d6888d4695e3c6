"""Watches: callbacks that follow a fit, and may ask it to stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Protocol


class Watch(Protocol):
    """Follows a fit and may ask it to stop.

    Called from the training thread, often: an implementation that writes somewhere slow
    should do so only now and then. For boosted trees an epoch is an iteration, as each
    goes over all rows once.
    """

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """Batch number `batch` (from 1) of `batches` in epoch `epoch` (from 1) is done."""
        ...

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Epoch number `epoch` (from 1) of `epochs` is done."""
        ...

    def should_stop(self) -> bool:
        """Whether the fit is to end now; asked after each batch."""
        ...


class SilentWatch:
    """Reports nothing and never asks a fit to stop."""

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """Report nothing."""

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Report nothing."""

    def should_stop(self) -> bool:
        """Never."""
        return False


def progress_problem(done: Any, of: Any, metrics: Any) -> str | None:
    """What is wrong with what a fit tells of itself; None: nothing. A loss may be no number.

    >>> progress_problem(-5, 0, {})
    'number -5 of 0; allowed: whole numbers, from 1 up to the second'
    >>> progress_problem(1, 3, {"loss": 0.5})
    """
    if not all(isinstance(one, Integral) for one in (done, of)) or not 1 <= done <= of:
        return f"number {done!r:.40} of {of!r:.40}; allowed: whole numbers, from 1 up to the second"
    if not isinstance(metrics, Mapping):
        return f"metrics {metrics!r:.60}; allowed: a mapping from names to numbers"
    for name, value in metrics.items():
        if not isinstance(name, str) or not isinstance(value, Real):
            return f"metric {name!r:.40} with the value {value!r:.40}; allowed: names with numbers"
    return None


class RememberingWatch:
    """Passes on to another watch and remembers what that raised, which is no fault of the estimator."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.raised: Exception | None = None

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """Pass on."""
        _ensure_progress("batch", batch, batches, metrics)
        with self._remembering():
            self._watch.batch(epoch, batch, batches, metrics)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Pass on."""
        _ensure_progress("epoch", epoch, epochs, metrics)
        with self._remembering():
            self._watch.epoch(epoch, epochs, metrics)

    def should_stop(self) -> bool:
        """Whether the watched fit should stop."""
        with self._remembering():
            return self._watch.should_stop()

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.raised = error
            raise


def _ensure_progress(call: str, done: Any, of: Any, metrics: Any) -> None:
    """Raises `ValueError` of the estimator that told it."""
    if (problem := progress_problem(done, of, metrics)) is not None:
        raise ValueError(f"watch.{call} was told {problem}")


class StopOnlyWatch(SilentWatch):
    """For a helper fit beside the watched one: reports nothing, and stops when that should."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def should_stop(self) -> bool:
        """Whether the watched fit should stop."""
        return self._watch.should_stop()
