"""Evidently's page says of each column what was decided, also where its distance alone says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig
from models.drift import drawn as drawn_rows
from models.drift.distances import is_beyond
from models.drift.judging import judge_frames
from models.drift.page import Sheet, draw_page, tell_samples


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
    decision, drawn = judge_frames(config, draw(1000, 0), draw(rows, 1.5), seed=1)
    page = draw_page(config, [Sheet(decision, drawn)], tmp_path / "page.html")
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


def draw(random: np.random.Generator, rows: int, moves: Sequence[float]) -> pd.DataFrame:
    """Numbers shifted by so many deviations, and categories whose shares are moved as much."""
    numbers = {f"n{place}": random.normal(move, 1, rows) for place, move in enumerate(moves)}
    kinds = {
        f"c{place}": np.where(random.random(rows) < 0.5 + move / 2, "a", "b").astype(object)
        for place, move in enumerate(moves)
    }
    return pd.DataFrame(numbers | kinds)


@pytest.mark.parametrize("methods", [("wasserstein", "jensenshannon"), ("ks", "chisquare")])
def test_a_page_of_a_sample_says_of_each_column_what_all_rows_say(
    tmp_path: Path, methods: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn_rows, "MOST_DRAWN", 60)
    random = np.random.default_rng(2)
    config = DriftConfig.model_validate(
        {
            "numeric_method": methods[0], "categorical_method": methods[1],
            "reference_rows": 3000, "current_rows": 2500,
        }
    )  # fmt: skip
    moves = (0.0, 0.08, 0.13, 0.4)
    decision, drawn = judge_frames(config, draw(random, 3000, [0] * 4), draw(random, 2500, moves), seed=1)
    assert (len(drawn.reference), len(drawn.current)) == (60, 60)
    path = tmp_path / "page.html"
    page = draw_page(config, [Sheet(decision, drawn)], path)
    on_page = {
        name: is_beyond(decision.columns[name].method, value, threshold)
        for name, (value, threshold) in page.items()
    }
    assert on_page == {name: column.drifted for name, column in decision.columns.items()}
    assert {True, False} == set(on_page.values())
    alone = [
        is_beyond(decision.columns[name].method, value, config.threshold) for name, (value, _) in page.items()
    ]
    assert alone != list(on_page.values()), "the sample alone would have said otherwise"
    assert "Drawn is a sample, 60 of 3,000 reference rows and 60 of 2,500 recent rows" in path.read_text()


def test_a_page_of_all_rows_says_nothing_of_samples() -> None:
    random = np.random.default_rng(3)
    sheet = Sheet(*judge_frames(DriftConfig(), draw(random, 300, [0.0]), draw(random, 200, [0.0]), seed=1))
    assert sheet.sample is None
    assert tell_samples([sheet]) is None
