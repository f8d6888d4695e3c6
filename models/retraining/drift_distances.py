"""How far each column has moved: distances and tests, measured by Evidently; deciding is outside.

Methods are pinned by the configuration, as Evidently's defaults change at 1,000 rows. It is given a bounded
number of rows, as its cost grows with rows times columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from models.retraining.drift_columns import is_category
from store.drift.page import sanitise_page

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})
_BY_CHANCE: Mapping[str, Callable[[float], float]] = {
    "wasserstein": lambda inverse: 2.6 * inverse**0.5,
    "jensenshannon": lambda inverse: 2.2 * inverse**0.5,
    "psi": lambda inverse: 35 * inverse,
}
"""Method to the distance by the sum of 1/n over both samples; constants by simulation."""


def measure_distances(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, html: Path
) -> Mapping[str, tuple[str, float]]:
    """Column to method and value, where it can be measured; Evidently's report of them goes to `html`.

    The frames come from `drift_columns`: object columns are categories, others numbers.
    """
    return _measure(config, reference, current, html) if len(reference.columns) else {}


def _measure(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, html: Path
) -> Mapping[str, tuple[str, float]]:
    # Evidently takes seconds to import: only where it is used.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    categorical = [name for name in reference.columns if is_category(reference[name])]
    numeric = [name for name in reference.columns if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    preset = DataDriftPreset(
        num_method=config.numeric_method,
        cat_method=config.categorical_method,
        num_threshold=config.threshold,
        cat_threshold=config.threshold,
        drift_share=config.share,
    )
    # It also correlates columns, which one that never changes does not allow.
    with np.errstate(invalid="ignore", divide="ignore"):
        result = Report([preset]).run(
            reference_data=Dataset.from_pandas(reference, data_definition=definition),
            current_data=Dataset.from_pandas(current, data_definition=definition),
        )
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(sanitise_page(result.get_html_str(as_iframe=False)), encoding="utf-8")
    per_column = [metric["config"] | {"value": metric["value"]} for metric in result.dict()["metrics"]]
    return {
        metric["column"]: (metric["method"], float(metric["value"]))
        for metric in per_column
        if "column" in metric and np.isfinite(metric["value"])
    }


def distance_by_chance(method: str, reference_rows: int, current_rows: int) -> float:
    """What two samples of the same seldom exceed (about one in a hundred), by their sizes alone.

    It holds for numbers of any shape, and for up to 20 categories.
    """
    return _BY_CHANCE[method](1 / reference_rows + 1 / current_rows)
