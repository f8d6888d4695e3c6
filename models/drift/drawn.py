"""The rows of a comparison that a page draws: of many a sample, as a picture tells no more of more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.drift.forms import Form
from models.drift.summaries import Side

MOST_DRAWN = 5000
"""Rows of either side on a page."""


@dataclass(frozen=True)
class DrawnRows:
    """Rows of both sides, oldest first, of the columns that were compared, in the form in which they were."""

    reference: pd.DataFrame
    current: pd.DataFrame


def draw_rows(forms: Mapping[str, Form], reference: Side, current: Side, *, seed: int) -> DrawnRows:
    """All rows, or a sample where there are more than `MOST_DRAWN`."""
    random = np.random.default_rng(seed)
    return DrawnRows(*(_draw_side(forms, side, random) for side in (reference, current)))


def no_rows() -> DrawnRows:
    """Where nothing was compared."""
    return DrawnRows(pd.DataFrame(), pd.DataFrame())


def _draw_side(forms: Mapping[str, Form], side: Side, random: np.random.Generator) -> pd.DataFrame:
    places = np.arange(side.rows)
    if side.rows > MOST_DRAWN:
        places = np.sort(random.choice(side.rows, MOST_DRAWN, replace=False))
    return pd.DataFrame({name: form.draw(side.draw(name, places)) for name, form in forms.items()})
