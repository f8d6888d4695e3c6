"""How far each column has moved: distances and tests, measured by Evidently; deciding is outside.

Methods are pinned by the configuration, as Evidently's defaults change at 1,000 rows. It is given a bounded
number of rows, as its cost grows with rows times columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from store.drift.page import sanitise_page

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})
# A distance between fewer values than this says nothing.
MIN_VALUES = 20


def measure_distances(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, html: Path
) -> Mapping[str, tuple[str, float]]:
    """Column to method and value, of columns with values enough; Evidently's report of them goes to `html`.

    The frames come from an encoder's `summarise`: object columns are categories, others numbers.
    """
    reference, current = _marked(reference), _marked(current)
    usable = [name for name in reference.columns if _comparable(reference[name], current[name])]
    return _measure(config, reference[usable], current[usable], html) if usable else {}


def _measure(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, html: Path
) -> Mapping[str, tuple[str, float]]:
    # Evidently takes seconds to import: only where it is used.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    categorical = _categorical(reference)
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


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing categories as a category of their own: to go missing is to drift."""
    categorical = _categorical(frame)
    return frame.assign(**{name: frame[name].fillna("(missing)") for name in categorical})


def _categorical(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype == object]


def _comparable(reference: pd.Series, current: pd.Series) -> bool:
    return bool(min(reference.notna().sum(), current.notna().sum()) >= MIN_VALUES)
