"""A fit that would take too much is refused before it begins, with figures and what to do; or learns in
batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.combinations import ABILITIES
from configs.errors import ConfigError
from configs.loading import check_use_case
from configs.schema import ChallengerConfig, UseCase
from configs.sizes import read_size
from features.records.rows import RowBatch, RowsInMemory
from models.errors import TooMuchMemory
from models.estimators.catalogue import ESTIMATORS, estimator_class
from models.estimators.contract import Streaming
from models.streamed.choosing import STREAMING, foresee, plan_fit
from models.streamed.memory import BESIDE_RECORD, TAKES, describe_bytes, estimate, machine_memory
from models.streamed.sources import gather, newest, some_of
from tests.models.streamed.test_fitting import ROWS, use_case_of

FULL = ChallengerConfig(name="full")

SCARCE = f"{TAKES['logistic'].fixed / 1e6 + 0.5:.1f}MB"
"""Enough for the libraries and a few rows."""


def limited(estimator: str, most: str | None, **params: Any) -> UseCase:
    use_case = use_case_of(estimator, **params)
    training = use_case.training.model_copy(update={"max_memory": most})
    return use_case.model_copy(update={"training": training})


def test_too_much_is_refused_with_figures_and_choices() -> None:
    with pytest.raises(TooMuchMemory) as caught:
        plan_fit(limited("logistic", SCARCE), RowsInMemory(ROWS), FULL)
    told = str(caught.value)
    for word in (
        "logistic learns from all rows at once, which would take about",
        "2,600 rows",
        f"allowed: {describe_bytes(read_size(SCARCE))}, by training.max_memory",
        "Give challenger 'full' a `window` of at most ",
        "--sample-count",
        "logistic_batches or xgboost",
        "raise training.max_memory",
    ):
        assert word in told
    fitting = int(told.split("at most ")[1].split(" rows")[0].replace(",", ""))
    assert 0 < fitting < 2600
    smaller = ChallengerConfig(name="full", window=fitting)
    plan = plan_fit(limited("logistic", SCARCE), RowsInMemory(ROWS), smaller)
    assert (plan.in_batches, plan.rows) == (False, fitting)


@pytest.mark.parametrize("estimator", ["logistic_batches", "xgboost"])
def test_what_learns_in_batches_is_never_refused(estimator: str) -> None:
    plan = plan_fit(limited(estimator, "1MB"), RowsInMemory(ROWS), FULL)
    assert plan.in_batches
    assert plan.told == f"challenger 'full': {estimator} learns 2,600 rows in batches"


def test_a_network_learns_in_batches_where_all_rows_are_too_many() -> None:
    assert not plan_fit(limited("keras_mixed", "8GB"), RowsInMemory(ROWS), FULL).in_batches
    plan = plan_fit(limited("keras_mixed", "500MB"), RowsInMemory(ROWS), FULL)
    assert plan.in_batches
    assert "in batches; all at once: about" in plan.told
    assert "(allowed: 500 MB)" in plan.told


def test_without_a_limit_the_machine_is_one() -> None:
    plan = plan_fit(limited("logistic", None), RowsInMemory(ROWS), FULL)
    assert plan.limit == machine_memory()
    assert plan.all_at_once is not None
    assert "at once, about" in plan.told


def test_the_estimate_grows_with_rows_and_what_they_hold() -> None:
    few = ROWS.take(slice(0, 50)).columns
    one, other = (estimate("logistic", rows, few, (20,)) for rows in (1_000_000, 2_000_000))
    assert other.bytes - one.bytes == 1_000_000 * (one.row_bytes + int(TAKES["logistic"].copies * 80))
    texts = {"body": np.array([letter * 1000 for letter in "abcd"], object)}
    assert 1000 < estimate("linear_text", 4, texts, (2, 20)).row_bytes - BESIDE_RECORD < 1100
    shared = {"body": np.array(["a" * 1000] * 1000, object)}
    assert estimate("linear_text", 4, shared, (2, 20)).row_bytes - BESIDE_RECORD < 20


def test_no_rows_are_no_reason_to_refuse() -> None:
    nothing = RowsInMemory(ROWS.take(slice(0, 0)))
    assert plan_fit(limited("logistic", "1MB"), nothing, FULL).all_at_once is None


def test_the_table_says_of_each_estimator_what_its_class_can() -> None:
    able = {name for name in ESTIMATORS if name != "sklearn" and _streams(name)}
    assert able == {name for name, one in ABILITIES.items() if one.batches} == set(STREAMING)
    assert set(TAKES) | {"logistic_batches", "xgboost"} == set(ESTIMATORS)


def _streams(name: str) -> bool:
    return issubclass(estimator_class(name), Streaming)


def test_a_configuration_alone_tells_how_many_rows_there_may_be() -> None:
    told = foresee(limited("logistic", "4GB"))
    assert told.startswith("one: logistic takes 200 MB and at most ")
    assert " rows of 4.0 GB" in told
    assert foresee(limited("xgboost", "4GB")) == "one: xgboost learns in batches"


@pytest.mark.parametrize(("text", "size"), [("4GB", 4e9), ("500MB", 5e8), ("1.5TB", 1.5e12)])
def test_sizes_are_read(text: str, size: float) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["4", "4 GB", "GB", "-1GB", "0GB", "4gb", "4GiB"])
def test_what_is_no_size_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allowed: a size such as 500MB"):
        read_size(text)
    raw = use_case_of("logistic").model_dump(mode="json")
    raw["training"]["max_memory"] = text
    with pytest.raises(ConfigError, match="max_memory"):
        check_use_case(raw, source=tmp_path / "one.yaml")


def test_rows_that_are_gathered_are_all_rows() -> None:
    class InBatches:
        def __len__(self) -> int:
            return len(ROWS)

        @property
        def seq(self) -> NDArray[np.int64]:
            return ROWS.seq

        def __iter__(self) -> Any:
            return iter(RowsInMemory(ROWS, most=411))

    whole = gather(InBatches())
    assert isinstance(whole, RowBatch)
    np.testing.assert_array_equal(whole.seq, ROWS.seq)
    assert [seq for batch in newest(InBatches(), 500) for seq in batch.seq] == ROWS.seq[-500:].tolist()
    assert len(newest(InBatches(), 10**6)) == len(ROWS)
    some = some_of(InBatches(), 100)
    assert some is not None
    assert 100 <= len(some) <= 105
    assert (np.diff(some.seq) == 26).all()
