"""Evidently's page says of each column what was decided, also where its distance alone says otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig
from models.drift.distances import is_beyond
from models.drift.judging import judge_frames
from models.drift.page import Sheet, draw_page


@pytest.mark.parametrize("rows", [30, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "methods",
    [
        ("wasserstein", "jensenshannon"),
        pytest.param(("psi", "psi"), marks=pytest.mark.slow),
        pytest.param(("ks", "chisquare"), marks=pytest.mark.slow),
    ],
)
def test_the_page_agrees_with_the_decision(tmp_path: Path, rows: int, methods: tuple[str, str]) -> None:
    random = np.random.default_rng(1)

    def draw(n: int, shift: float) -> pd.DataFrame:
        numbers = {f"n{place}": random.normal(shift * (place < 2), 1, n) for place in range(6)}
        kinds = {f"c{place}": random.integers(0, 8, n).astype(str).astype(object) for place in range(3)}
        return pd.DataFrame(numbers | kinds)

    config = DriftConfig.model_validate(
        {"numeric_method": methods[0], "categorical_method": methods[1], "min_rows": 30}
    )
    decision, columns = judge_frames(config, draw(1000, 0), draw(rows, 1.5), seed=1)
    page = draw_page(config, [Sheet(decision, columns)], tmp_path / "page.html")
    on_page = {
        name: is_beyond(decision.columns[name].method, value, threshold)
        for name, (value, threshold) in page.items()
    }
    assert on_page == {name: column.drifted for name, column in decision.columns.items()}
    assert {name for name, drifted in on_page.items() if drifted} == {"n0", "n1"}
    values = {name: value for name, (value, _) in page.items()}
    assert values == pytest.approx({name: column.value for name, column in decision.columns.items()})
    if rows == 30 and methods[0] == "wasserstein":
        beyond = [column for column in decision.columns.values() if column.value > config.threshold]
        assert len(beyond) > 4, "by the distance alone chance would have moved these"
