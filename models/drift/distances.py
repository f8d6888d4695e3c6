"""How far each column has moved: distances and tests as Evidently measures them; deciding is outside.

Methods are pinned by the configuration, as Evidently's defaults change at 1,000 rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from models.drift.columns import is_category

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})


def measure_distances(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame
) -> Mapping[str, tuple[str, float]]:
    """Column to method and value, where it can be measured.

    The frames come from `columns`: object columns are categories, others numbers.
    """
    measured = {
        name: _measure(config, reference[name].dropna(), current[name].dropna()) for name in reference.columns
    }
    return {name: one for name, one in measured.items() if np.isfinite(one[1])}


def is_beyond(method: str, value: float, threshold: float) -> bool:
    """Whether a column has moved far enough to matter."""
    return value < threshold if method in P_VALUE_METHODS else value > threshold


def _measure(config: DriftConfig, reference: pd.Series, current: pd.Series) -> tuple[str, float]:
    # Evidently takes seconds to import: only where it is used.
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    is_one = is_category(reference)
    kind = ColumnType.Categorical if is_one else ColumnType.Numerical
    method = config.categorical_method if is_one else config.numeric_method
    test = get_stattest(reference, current, kind, method)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = test(reference, current, kind, config.threshold)
    return method, float(result.drift_score)
