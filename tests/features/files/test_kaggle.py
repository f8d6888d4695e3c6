"""Kaggle by a client that stands in for the real one: what it gives, and how it fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from configs.loading import load_use_case
from configs.settings import CHECKOUT
from features.errors import SourceError
from features.files import kaggle
from features.files.datasets import as_configured, load_dataset
from tests.ports import closed_port

ROWS = [
    {"title": "A", "abstract": "dust", "categories": "cs.LG stat.ML", "update_date": "2024-05-01"},
    {"title": "B", "abstract": "stars", "categories": "astro-ph.SR", "update_date": "2024-05-02"},
]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    def use(download: Callable[..., str]) -> None:
        client: Any = ModuleType("kagglehub")
        client.dataset_download = download
        monkeypatch.setitem(sys.modules, "kagglehub", client)

    return use


def test_the_file_is_read_as_the_use_case_has_it(
    tmp_path: Path, answers: Callable[[Callable[..., str]], None]
) -> None:
    use_case = load_use_case(CHECKOUT / "configs" / "papers.yaml")
    name = use_case.data.dataset
    assert name is not None
    asked: list[tuple[str, str]] = []

    def download(handle: str, path: str) -> str:
        asked.append((handle, path))
        (tmp_path / path).write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
        return str(tmp_path / path)

    answers(download)
    table = as_configured(use_case, load_dataset(name))
    assert asked == [("Cornell-University/arxiv", "arxiv-metadata-oai-snapshot.json")]
    assert table["subjects"].to_pylist() == ["cs.LG|stat.ML", "astro-ph.SR"]
    assert table["date"].to_pylist() == ["2024-05-01", "2024-05-02"]
    assert {field.source_column for field in use_case.record.fields} < set(table.column_names)


def test_no_more_rows_than_fit_are_read(
    tmp_path: Path, answers: Callable[[Callable[..., str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n3,z\n", encoding="utf-8")
    answers(lambda handle, path: str(tmp_path / path))  # noqa: ARG005
    monkeypatch.setattr(kaggle, "MOST_ROWS", 2)
    assert load_dataset("kaggle/somebody/something/rows.csv")["b"].to_pylist() == ["x", "y"]


def test_without_network_it_says_what_to_do(answers: Callable[[Callable[..., str]], None]) -> None:
    def fail(handle: str, path: str) -> str:  # noqa: ARG001
        raise ConnectionError("Max retries exceeded\nand much more")

    answers(fail)
    with pytest.raises(
        SourceError,
        match=r"'kaggle/a/b/c.csv' could not be downloaded \(ConnectionError: Max retries exceeded\); "
        "check the network, .* or give a file with `--data`",
    ):
        load_dataset("kaggle/a/b/c.csv")


def test_a_server_that_is_not_reached_is_told_in_its_own_words(
    answers: Callable[[Callable[..., str]], None],
) -> None:
    def fail(handle: str, path: str) -> str:  # noqa: ARG001
        with requests.Session() as session:
            session.trust_env = False  # no proxy answers in its place
            session.get(f"http://127.0.0.1:{closed_port()}/", timeout=5)
        return path

    answers(fail)
    with pytest.raises(
        SourceError, match=r"\(ConnectionError: .*Connection refused\); check the network"
    ) as told:
        load_dataset("kaggle/a/b/c.csv")
    assert "Max retries" not in str(told.value)


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SourceError, match="package kagglehub is not installed: pip install kagglehub"):
        load_dataset("kaggle/a/b/c.csv")


@pytest.mark.parametrize("name", ["kaggle/a", "kaggle/a/b", "kaggle/a/b/"])
def test_a_name_without_a_file_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="allowed: kaggle/<owner>/<data set>/<file>"):
        load_dataset(name)
