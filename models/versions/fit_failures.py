"""What an estimator raises or answers when it cannot learn: one sentence that names it, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from features.errors import EncoderFailed, EncoderUnavailable
from models.errors import EstimatorFailed, ModelError, TrainingError
from models.estimators.arrays import Features
from models.estimators.contract import Fitted
from models.estimators.fit_watch import RememberingWatch

ANSWERED_ROWS = 256
"""Training rows that are answered after a fit, to see that it came to something."""
LEARN = "learn from these rows"
WRITE = "be written"


@contextmanager
def naming_estimator(name: str, doing: str, watch: RememberingWatch | None = None) -> Iterator[None]:
    """Say of whatever an estimator raises that it was this one's, in one sentence.

    What the watch raised, what the disk did, and what an encoder of another package says of itself is passed
    on: it says nothing of the estimator.

    Raises:
        EstimatorFailed: it gave up.
    """
    try:
        yield
    except (ModelError, EncoderFailed, EncoderUnavailable, OSError):
        raise
    except Exception as error:
        if watch is not None and watch.raised is not None:
            raise watch.raised from error
        raise EstimatorFailed(name, doing, error) from error


def ensure_answers(estimator: Fitted, x: Features) -> None:
    """Refuse an estimator whose fit diverged: its answers are no numbers.

    Raises:
        TrainingError: saying what to change.
    """
    with naming_estimator(estimator.name, "answer its training rows"):
        answers = estimator.predict_proba(x[:ANSWERED_ROWS])
    if not np.isfinite(answers).all():
        raise TrainingError(
            f"{estimator.name} has diverged: its answers are no numbers; a smaller `learning_rate` may help"
        )
