"""Evidently on small frames: what moved is found, what did not is not, and what it is given is bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig
from flows.drift import compare

CONFIG = DriftConfig(reference_rows=400, current_rows=200, min_rows=100, share=0.5, threshold=0.25)


def frame(rows: int, *, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.normal(shift, 1, rows),
            "colour": pd.Series(
                random.choice(["red", "blue"], rows, p=[0.5 + shift / 4, 0.5 - shift / 4]), dtype=object
            ),
        }
    )


def test_the_same_distribution_is_no_drift_and_a_moved_one_is(tmp_path: Path) -> None:
    same, _ = compare(CONFIG, frame(400), frame(200, seed=1), html=tmp_path / "same.html", seed=1)
    moved, page = compare(
        CONFIG, frame(400), frame(200, shift=1.5, seed=1), html=tmp_path / "moved.html", seed=1
    )
    assert (same.verdict, moved.verdict) == ("no_drift", "drift")
    assert {name: column.drifted for name, column in moved.columns.items()} == {
        "amount": True,
        "colour": True,
    }
    assert page is not None
    assert "<html" in page.read_text(encoding="utf-8")[:2000].lower()


def test_the_method_stays_pinned_however_many_rows_there_are(tmp_path: Path) -> None:
    for rows in (200, 2000):
        decision, _ = compare(
            CONFIG.model_copy(update={"reference_rows": rows}),
            frame(rows),
            frame(200),
            html=tmp_path / "d.html",
            seed=1,
        )
        assert {name: column.method for name, column in decision.columns.items()} == {
            "amount": "wasserstein",
            "colour": "jensenshannon",
        }


def test_rows_are_bounded_and_the_newest_are_taken(tmp_path: Path) -> None:
    current = pd.concat([frame(1000, shift=1.5), frame(200, seed=3)], ignore_index=True)
    decision, _ = compare(CONFIG, frame(5000), current, html=tmp_path / "d.html", seed=1)
    assert (decision.reference_rows, decision.current_rows) == (400, 200)
    assert decision.verdict == "no_drift"


def test_values_that_go_missing_are_drift(tmp_path: Path) -> None:
    current = frame(200, seed=1).assign(colour=None)
    decision, _ = compare(CONFIG, frame(400), current, html=tmp_path / "d.html", seed=1)
    assert decision.columns["colour"].drifted


def test_an_empty_numeric_column_is_left_out_and_few_rows_say_nothing(tmp_path: Path) -> None:
    current = frame(200, seed=1).assign(amount=np.nan)
    decision, _ = compare(CONFIG, frame(400), current, html=tmp_path / "d.html", seed=1)
    assert set(decision.columns) == {"colour"}
    few, page = compare(CONFIG, frame(400), frame(50), html=tmp_path / "few.html", seed=1)
    assert (few.verdict, page) == ("too_little_evidence", None)


@pytest.mark.parametrize("method", ["ks", "psi"])
def test_other_methods_can_be_chosen(tmp_path: Path, method: str) -> None:
    config = CONFIG.model_copy(update={"numeric_method": method, "threshold": 0.05})
    moved, _ = compare(config, frame(400), frame(200, shift=1.5), html=tmp_path / "d.html", seed=1)
    assert moved.columns["amount"].drifted
