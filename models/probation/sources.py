"""Does the evidence against a version rest on what one source of labels says?

Whoever turns labels round makes the better version look the worse one. The others are asked by the rules of
the gate (`models.gate.sources`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.gate.sources import JudgedSources, stands_apart
from models.probation.evidence import crosses
from models.probation.wealth import Differences
from store.feedback.sources import has_name


def carrying_source(
    use_case: UseCase, losses: Differences, agrees: NDArray[np.bool_], sources: JudgedSources
) -> str | None:
    """The source without which nothing is proven, and why a person must look; None: there is none.

    Args:
        losses: by how much the version before did better on each of n rows, shape (n,).
        agrees: which of the labels the version before gives as well, shape (n,).
        sources: whose labels the rows have.
    """
    if use_case.labels.most_loss is None:
        return None
    for name, rows in sources.rows_of_each().items():
        others = ~rows
        if int(others.sum()) < use_case.labels.min_judged:
            if sources.is_stranger(name):
                return _rests_on(use_case, name, "most of what was learned is of others")
            continue
        if losses[others].mean() < 0:
            return _rests_on(use_case, name, "by the labels of the others it is better")
        is_proven = crosses(use_case.probation, losses[others])
        if has_name(name) and not is_proven and stands_apart(use_case, agrees, rows):
            own, rest = agrees[rows].mean(), agrees[others].mean()
            apart = f"the version before agrees with {own:.0%} of its labels and {rest:.0%} of the others"
            return _rests_on(use_case, name, apart)
    return None


def _rests_on(use_case: UseCase, name: str, why: str) -> str:
    return (
        f"what speaks against it rests on one source, '{name}' ({why}); once a person has looked, `ratchet "
        f"sources release {use_case.name} {name}` or `ratchet sources hold {use_case.name} {name}`"
    )
