"""What is learned of rows in batches is what is learned of all rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig
from configs.schema.features import TabularFeatures
from features.encoders.batched.tabular import learn_tabular, sample_of
from features.encoders.tabular import TabularEncoder
from features.records.contract import Columns
from features.records.rows import RowBatch, RowsInMemory, RowSource

RECORD = RecordConfig(
    fields=(
        FieldConfig(name="even", type="number"),
        FieldConfig(name="tailed", type="number", nullable=True),
        FieldConfig(name="mostly_zero", type="number"),
        FieldConfig(name="constant", type="number"),
        FieldConfig(name="signed", type="number", minimum=-1e9),
        FieldConfig(name="shop", type="integer"),
        FieldConfig(name="flag", type="boolean", nullable=True),
        FieldConfig(name="nothing", type="number", nullable=True),
        FieldConfig(name="colour", type="category", nullable=True),
        FieldConfig(name="street", type="category"),
        FieldConfig(name="size", type="category", categories=("s", "m", "l")),
        FieldConfig(name="day", type="datetime", nullable=True),
        FieldConfig(name="words", type="text", nullable=True),
    )
)


def columns_of(count: int, seed: int = 3) -> Columns:
    random = np.random.default_rng(seed)
    tailed = np.exp(3 * random.normal(size=count))
    tailed[random.random(count) < 0.1] = np.nan
    even = random.uniform(size=count)
    even[: min(2, count)] = 1e308, -1e308
    flags = random.choice([0.0, 1.0, np.nan], count)
    colours = random.choice(np.array(["red", "green", "blue", None], object), count)
    streets = np.array([f"street {number}" for number in random.zipf(1.3, count) % 400], object)
    days = np.datetime64("2024-01-01", "us") + random.integers(0, 400, count) * np.timedelta64(1, "D")
    days[:: max(1, count // 7)] = np.datetime64("0001-01-01", "us")
    days[1 :: max(1, count // 5)] = np.datetime64("NaT", "us")
    texts = np.array([" ".join(["Ab1"] * number) for number in random.integers(0, 9, count)], object)
    texts[:: max(1, count // 6)] = None
    return {
        "even": even,
        "tailed": tailed,
        "mostly_zero": np.where(random.random(count) < 0.9, 0.0, random.normal(size=count)),
        "constant": np.full(count, 0.1),
        "signed": random.standard_cauchy(count),
        "shop": random.integers(0, 300, count).astype(float),
        "flag": flags,
        "nothing": np.full(count, np.nan),
        "colour": colours,
        "street": streets,
        "size": random.choice(np.array(["s", "m", "l"], object), count),
        "day": days,
        "words": texts,
    }


def in_batches(columns: Columns, most: int) -> RowSource:
    count = len(columns["even"])
    labels, times = np.full(count, "a", object), np.arange(count).astype("datetime64[us]")
    return RowsInMemory(RowBatch(columns, labels, np.arange(count), times), most=most)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipped": {"outliers": "clip"},
    "dropped": {"outliers": "drop", "iqr_factor": 3.0},
    "no fences": {"fence": "off"},
    "clip only": {"fence": "clip"},
    "negatives to zero": {"negatives": "zero"},
    "negatives missing": {"negatives": "missing"},
    "unscaled": {"scale": False},
    "native": {"encoding": "native"},
    "places": {"encoding": "places"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize(("count", "most", "sampled"), [(3000, 257, 200), (3000, 3000, 3000), (60, 7, 20)])
def test_the_same_is_learned(options: dict[str, Any], count: int, most: int, sampled: int) -> None:
    columns = columns_of(count)
    features = FeaturesConfig(tabular=TabularFeatures(**options))
    whole = TabularEncoder.fit(columns, RECORD, features)
    streamed = learn_tabular(in_batches(columns, most), RECORD, features, sampled=sampled)
    one, other = whole.to_state(), streamed.to_state()
    assert list(one) == list(other)
    for key in set(one) - {"mean", "scale"}:
        assert one[key] == other[key], key
    for key in ("mean", "scale"):
        np.testing.assert_allclose(one[key], other[key], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(whole.encode(columns), streamed.encode(columns), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows_are_enough(count: int) -> None:
    columns = {name: column[5 : 5 + count] for name, column in columns_of(40).items()}
    whole = TabularEncoder.fit(columns, RECORD, FeaturesConfig())
    streamed = learn_tabular(in_batches(columns, 1), RECORD, FeaturesConfig())
    rounded = {"mean": 0, "scale": 0}
    assert {**whole.to_state(), **rounded} == {**streamed.to_state(), **rounded}
    np.testing.assert_allclose(whole.to_state()["scale"], streamed.to_state()["scale"], rtol=1e-9)


def test_a_sample_that_misleads_costs_a_look_and_no_digit() -> None:
    """Rows of the sample lie elsewhere than all others: medians are found all the same."""
    columns = columns_of(4000)
    chosen = sample_of(4000, 300)
    columns["even"][chosen] = 1e6 + np.arange(len(chosen))
    whole = TabularEncoder.fit(columns, RECORD, FeaturesConfig()).to_state()
    streamed = learn_tabular(in_batches(columns, 999), RECORD, FeaturesConfig(), sampled=300).to_state()
    assert whole["median"] == streamed["median"]
    assert whole["floor"] == streamed["floor"]
