"""Evidently's page of a drift check, made to say of each column what the decision says; deciding is outside.

Evidently knows one threshold for each column. A column that is beyond the configured one, without being
certain, gets the one from which on it would be: about as far again as its test falls short. Where a sample is
drawn, its distances are not those of all rows; a column that the sample alone would have on the other side
gets the one that leaves it where it was decided to be, and the page says that it shows a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from configs.schema import DriftConfig
from models.drift.certainty import level_needed
from models.drift.decision import ColumnDrift, DriftDecision
from models.drift.distances import P_VALUE_METHODS, is_beyond, measure
from models.drift.drawn import DrawnRows
from models.drift.summaries import category_columns, summarise
from store.drift.page import sanitise_page

_MOST_SHORT = 100.0
"""Times that a test falls short, at most."""
_BESIDE = 0.05
"""How far from the distance of a sample its threshold lies, where that is to be on the other side."""


@dataclass(frozen=True)
class Sheet:
    """Columns of a page, and what was decided of them."""

    decision: DriftDecision
    drawn: DrawnRows
    title: str = ""
    """Set before their names."""

    @property
    def names(self) -> list[str]:
        """Columns that were decided on and can be drawn."""
        return [name for name in self.drawn.reference.columns if name in self.decision.columns]

    @property
    def thresholds(self) -> dict[str, float]:
        """Name on the page to the value from which on a column counts as moved."""
        decided = self.decision.columns
        level = level_needed([one.p_value for one in decided.values() if one.p_value is not None])
        return {self.title + name: self._threshold(name, decided[name], level) for name in self.names}

    @property
    def sample(self) -> str | None:
        """What is drawn of more rows; None: all are."""
        parts = [
            (len(self.drawn.reference), self.decision.reference_rows, "reference"),
            (len(self.drawn.current), self.decision.current_rows, "recent"),
        ]
        told = [f"{drawn:,} of {rows:,} {side} rows" for drawn, rows, side in parts if drawn < rows]
        return " and ".join(told) or None

    def _threshold(self, name: str, column: ColumnDrift, level: float) -> float:
        threshold = threshold_of(column, self.decision.threshold, level)
        if self.sample is None:
            return threshold
        sides = (self.drawn.reference[name], self.drawn.current[name])
        before, now = (summarise(side.to_numpy()) for side in sides)
        value = measure(column.method, before, now)
        if is_beyond(column.method, value, threshold) == column.drifted:
            return threshold
        is_to_fall = column.drifted != (column.method in P_VALUE_METHODS)
        return value * (1 - _BESIDE if is_to_fall else 1 + _BESIDE)


def draw_page(config: DriftConfig, sheets: Sequence[Sheet], html: Path) -> Mapping[str, tuple[float, float]]:
    """Write Evidently's page of columns that were decided on.

    Sheets may have different numbers of rows: where one has fewer than another, its columns are missing.

    Returns:
        Column to value and threshold, as the page has them.
    """
    # Evidently takes seconds to import: only where it is used.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = (_side_by_side(sheets, side) for side in ("reference", "current"))
    categorical = sorted(category_columns(reference))
    numeric = [name for name in reference.columns if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    preset = DataDriftPreset(
        num_method=config.numeric_method,
        cat_method=config.categorical_method,
        num_threshold=config.threshold,
        cat_threshold=config.threshold,
        per_column_threshold={name: value for one in sheets for name, value in one.thresholds.items()},
        drift_share=config.share,
    )
    # It also correlates columns, which one that never changes does not allow.
    with np.errstate(invalid="ignore", divide="ignore"):
        result = Report([preset]).run(
            reference_data=Dataset.from_pandas(reference, data_definition=definition),
            current_data=Dataset.from_pandas(current, data_definition=definition),
        )
    html.parent.mkdir(parents=True, exist_ok=True)
    page = sanitise_page(result.get_html_str(as_iframe=False), note=tell_samples(sheets))
    html.write_text(page, encoding="utf-8")
    metrics = [metric["config"] | {"value": metric["value"]} for metric in result.dict()["metrics"]]
    return {
        one["column"]: (float(one["value"]), float(one["threshold"])) for one in metrics if "column" in one
    }


def tell_samples(sheets: Sequence[Sheet]) -> str | None:
    """What a page says above all of rows that it does not draw; None: it draws all."""
    told = [f"{one.title}{one.sample}" for one in sheets if one.sample]
    if not told:
        return None
    return (
        f"Drawn is a sample, {'; '.join(told)}, and the distances on this page are those of the sample. "
        "Whether a column has moved was decided by all rows; thresholds are set so that the page says so."
    )


def _side_by_side(sheets: Sequence[Sheet], side: str) -> pd.DataFrame:
    """The columns of all sheets by their names on the page."""
    frames = []
    for one in sheets:
        frame = one.drawn.reference if side == "reference" else one.drawn.current
        frames.append(frame[one.names].reset_index(drop=True).add_prefix(one.title))
    return pd.concat(frames, axis=1)


def threshold_of(column: ColumnDrift, threshold: float, level: float) -> float:
    """From where on a column counts as moved: the configured threshold, or what would be certain.

    Distances grow about as the deviations of a test do, and p-values fall with them.
    """
    if column.drifted or column.p_value is None or not is_beyond(column.method, column.value, threshold):
        return threshold
    needed, deviations = (float(stats.norm.isf(p / 2)) for p in (level, column.p_value))
    short = min(_MOST_SHORT, needed / max(deviations, 1 / _MOST_SHORT))
    return column.value / short if column.method in P_VALUE_METHODS else column.value * short
