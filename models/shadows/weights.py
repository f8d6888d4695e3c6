"""What each member of a blend counts for, by its own record on rows that came after it.

Exponential weights, as in prediction with expert advice (V. Vovk, "Aggregating strategies", COLT 1990; N.
Cesa-Bianchi and G. Lugosi, "Prediction, Learning, and Games", 2006, chapter 2), with a past that fades
because streams drift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from models.shadows.periods import Period

FADING = 0.6
"""What a period counts for beside the one after it."""
RATE = 0.3
"""Of a row: few rows move weights little."""
MOST_RATE = 150.0
"""Of a period, however many its rows are, so that no member is left alone for being a little better."""


def blend_weights(periods: Sequence[Period], recipe: str, members: Sequence[str]) -> Mapping[str, float]:
    """Weights of members, which sum to 1; a member that was never scored has none.

    Args:
        periods: oldest first.
        recipe: name of the challenger.
        members: the first one is what all is given to where nothing is known.
    """
    first = members[0]
    balance = dict.fromkeys(members, 0.0)
    scored = {first}
    for period in periods:
        scores = period.members.get(recipe, {})
        if first not in scores or period.doubt is not None:
            continue
        rate = min(RATE * period.rows, MOST_RATE)
        for name in members:
            gain = scores[name] - scores[first] if name in scores else 0.0
            balance[name] = FADING * balance[name] + rate * gain
        scored |= scores.keys()
    highest = max(balance[name] for name in members if name in scored)
    shares = {name: math.exp(balance[name] - highest) if name in scored else 0.0 for name in members}
    whole = sum(shares.values())
    return {name: share / whole for name, share in shares.items()}
