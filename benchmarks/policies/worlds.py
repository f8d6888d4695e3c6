"""Made-up streams whose rule is known: one that stays, and four that change or have wrong labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEATURES = 8
NOISE = 0.1
"""Share of labels that chance turns round."""
Floats = NDArray[np.float64]
Sides = Callable[[np.random.Generator, int, int], NDArray[np.int64]]


def make_world(kind: str, seed: int, *, periods: int, rows: int) -> pd.DataFrame:
    """Rows of a stream in the order in which they come: fields `x0` to `x7` and the label `y`.

    Args:
        kind: a name in `WORLDS`.
        rows: of a period.
    """
    random = np.random.default_rng([seed, sorted(WORLDS).index(kind)])
    count = periods * rows
    x = random.uniform(0, 1, (count, FEATURES))
    scores = np.stack([_rule(random)(x - 0.5) for _ in range(4)], axis=1)
    scores -= np.median(scores, axis=0)
    y = (WORLDS[kind](random, scores, periods, rows) > 0) ^ (random.random(count) < NOISE)
    if kind == "bad_labels":
        for period in random.choice(np.arange(10, periods - 2), 4, replace=False):
            part = slice(period * rows, (period + 1) * rows)
            y[part] ^= random.random(rows) < 0.35
    frame = pd.DataFrame(x.round(5), columns=[f"x{place}" for place in range(FEATURES)])
    return frame.assign(y=np.where(y, "yes", "no"))


def _rule(random: np.random.Generator) -> Callable[[Floats], Floats]:
    """A plane with some products of two fields."""
    plane = random.normal(size=FEATURES)
    products = random.normal(size=(FEATURES, FEATURES)) * (random.random((FEATURES, FEATURES)) < 0.15)

    def score(x: Floats) -> Floats:
        bent: Floats = x @ plane + 3 * np.einsum("ni,ij,nj->n", x, products, x)
        return bent

    return score


def _stationary(random: np.random.Generator, scores: Floats, periods: int, rows: int) -> Floats:
    del random, periods, rows
    return scores[:, 0]


def _abrupt(random: np.random.Generator, scores: Floats, periods: int, rows: int) -> Floats:
    """Three times from one moment to the next."""
    turns = np.sort(random.choice(np.arange(10, periods - 3), 3, replace=False)) * rows
    rule = np.searchsorted(turns, np.arange(len(scores)), side="right")
    return np.asarray(scores[np.arange(len(scores)), rule])


def _gradual(random: np.random.Generator, scores: Floats, periods: int, rows: int) -> Floats:
    """All the time, from one rule over two others to a fourth."""
    del random, periods, rows
    way = np.linspace(0, 3, len(scores), endpoint=False)
    rule = way.astype(np.int64)
    share = way - rule
    places = np.arange(len(scores))
    return np.asarray((1 - share) * scores[places, rule] + share * scores[places, rule + 1])


def _recurring(random: np.random.Generator, scores: Floats, periods: int, rows: int) -> Floats:
    """To and fro between two rules."""
    del periods
    length = int(random.integers(5, 9)) * rows
    places = np.arange(len(scores))
    return np.asarray(scores[places, places // length % 2])


WORLDS: Mapping[str, Callable[[np.random.Generator, Floats, int, int], Floats]] = {
    "stationary": _stationary,
    "abrupt": _abrupt,
    "gradual": _gradual,
    "recurring": _recurring,
    "bad_labels": _stationary,
}
"""Name to what the sign of gives the label."""
