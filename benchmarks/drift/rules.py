"""Ways to decide on the same distances: what is done now, and what was before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from configs.schema import DriftConfig
from models.drift.decision import decide_drift
from models.drift.distances import is_beyond

Rule = Callable[..., bool]
NOW = "now"
FORMER_SHARE = 0.5
_BY_CHANCE: Mapping[str, Callable[[float], float]] = {
    "wasserstein": lambda inverse: 2.6 * inverse**0.5,
    "jensenshannon": lambda inverse: 2.2 * inverse**0.5,
}
"""Method to what two samples of the same seldom exceed, by the sum of 1/n over both."""


def far_and_certain(
    config: DriftConfig,
    distances: Mapping[str, tuple[str, float]],
    p_values: Mapping[str, float],
    *,
    reference_rows: int,
    current_rows: int,
) -> bool:
    """Far enough to matter, and certain."""
    decision = decide_drift(
        config, distances, p_values, reference_rows=reference_rows, current_rows=current_rows
    )
    return decision.verdict == "drift"


def far(
    config: DriftConfig, distances: Mapping[str, tuple[str, float]], _p_values: object, **_rows: int
) -> bool:
    """Far enough, at the share of columns that is needed now."""
    moved = sum(is_beyond(method, value, config.threshold) for method, value in distances.values())
    return moved >= config.share * len(distances)


def far_for_chance(
    config: DriftConfig,
    distances: Mapping[str, tuple[str, float]],
    _p_values: object,
    *,
    share: float | None = None,
    **rows: int,
) -> bool:
    """Far enough, and farther than chance seldom makes one column."""
    inverse = sum(1 / count for count in rows.values())
    levels = ((value, _BY_CHANCE[method](inverse)) for method, value in distances.values())
    moved = sum(value > max(config.threshold, by_chance) for value, by_chance in levels)
    return moved >= (config.share if share is None else share) * len(distances)


RULES: Mapping[str, Rule] = {
    NOW: far_and_certain,
    "before": partial(far_for_chance, share=FORMER_SHARE),
    "before, share as now": far_for_chance,
    "threshold alone": far,
}
