"""Data sets of Kaggle, downloaded by its client when asked for, and kept in that client's cache."""

from __future__ import annotations

import importlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.errors import DownloadFailed, SourceError
from features.files.sources import open_source

FORM = "kaggle/<owner>/<data set>/<file>"
MOST_ROWS = 100_000
"""Rows that are read, the first of the file: some data sets hold millions."""


def load_kaggle(name: str) -> pa.Table:
    """The first rows of `<owner>/<data set>/<file>`.

    Raises:
        SourceError: the name is not of that form, or the client is not installed.
        DownloadFailed: it could not be downloaded.
    """
    owner, _, rest = name.partition("/")
    dataset, _, file = rest.partition("/")
    if not (owner and dataset and file):
        raise SourceError(f"unknown data set 'kaggle/{name}'; allowed: {FORM}")
    client = _import_client()
    try:
        path = Path(client.dataset_download(f"{owner}/{dataset}", path=file))
    # The client raises errors of its own, of requests and of the system, which have no other base.
    except Exception as error:
        reason = str(_cause(error)).strip().partition("\n")[0]
        raise DownloadFailed(
            f"data set 'kaggle/{name}' could not be downloaded ({type(error).__name__}: {reason:.200}); "
            "check the network, and for data that asks for it KAGGLE_API_TOKEN, or give a file with `--data`"
        ) from error
    return _first_rows(path)


def _cause(error: Exception) -> object:
    """What an error of requests is about: the last of those that it wraps, whose words are short."""
    wrapped = error.args[0] if error.args else None
    return getattr(wrapped, "reason", None) or error


def _first_rows(path: Path) -> pa.Table:
    tables: list[pa.Table] = []
    rows = 0
    with closing(open_source(path)) as source:
        for batch in source.batches:
            tables.append(batch.table)
            rows += batch.table.num_rows
            if rows >= MOST_ROWS:
                break
    if not tables:
        raise SourceError(f"{path}: holds no rows")
    return pa.concat_tables(tables, promote_options="permissive").slice(0, MOST_ROWS)


def _import_client() -> Any:
    try:
        return importlib.import_module("kagglehub")
    except ImportError as error:
        raise SourceError("package kagglehub is not installed: pip install kagglehub") from error
