"""What is said of a split before it is made is what the split then does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import HoldoutConfig, TrainingConfig
from store.snapshots.uses import TRAIN
from store.splits.records import SameRecords
from store.splits.sizes import labels_lacking, rows_to_learn_from
from store.splits.splits import split_rows


def trained_rows(config: HoldoutConfig, total: int, new: int) -> int:
    places = np.arange(total)
    is_new = places >= total - new
    shares = np.random.default_rng(total).random(total)
    split = split_rows(config, SameRecords(places, ~is_new), seq=places, shares=shares, is_new=is_new)
    return int((split == TRAIN).sum())


@given(
    total=st.integers(1, 400),
    fraction=st.floats(0.05, 0.95),
    least=st.integers(1, 200),
    most=st.integers(0, 99),
)
def test_by_time_the_first_split_leaves_what_is_said(
    total: int, fraction: float, least: int, most: int
) -> None:
    config = HoldoutConfig(fraction=fraction, min_rows=least, max_rows=least + most)
    assert rows_to_learn_from(config, total, total) == trained_rows(config, total, total)


@given(total=st.integers(1, 400), new=st.integers(0, 400))
def test_by_time_a_later_split_leaves_no_less_than_is_said(total: int, new: int) -> None:
    config = HoldoutConfig(min_rows=20)
    new = min(total, new)
    assert rows_to_learn_from(config, total, new) <= trained_rows(config, total, new)


def test_by_hash_about_what_is_said_is_left() -> None:
    config = HoldoutConfig(by="hash", fraction=0.3)
    assert rows_to_learn_from(config, 4000, 4000) == 2800
    assert trained_rows(config, 4000, 4000) == pytest.approx(2800, abs=120)


@pytest.mark.parametrize(
    ("holdout", "total", "lacking"),
    [
        (HoldoutConfig(), 10, 89),
        (HoldoutConfig(), 98, 1),
        (HoldoutConfig(), 99, 0),
        (HoldoutConfig(min_rows=20), 69, 1),
        (HoldoutConfig(min_rows=20), 70, 0),
        (HoldoutConfig(by="hash", fraction=0.3), 10, 62),
        (HoldoutConfig(by="hash", fraction=0.3), 72, 0),
        (HoldoutConfig(by="hash", fraction=0.5), 99, 1),
    ],
)
def test_labels_that_are_lacking(holdout: HoldoutConfig, total: int, lacking: int) -> None:
    assert labels_lacking(TrainingConfig(holdout=holdout), total, total) == lacking


@given(
    total=st.integers(0, 300),
    fraction=st.floats(0.05, 0.95),
    least=st.integers(1, 100),
    by=st.sampled_from(["time", "hash"]),
)
def test_with_one_label_less_than_is_lacking_training_has_too_few(
    total: int, fraction: float, least: int, by: str
) -> None:
    training = TrainingConfig(
        holdout=HoldoutConfig.model_validate({"by": by, "fraction": fraction, "min_rows": least})
    )
    more = labels_lacking(training, total, total)
    left = [rows_to_learn_from(training.holdout, total + more - less, total + more - less) for less in (0, 1)]
    assert left[0] >= training.min_rows
    assert more == 0 or left[1] < training.min_rows
