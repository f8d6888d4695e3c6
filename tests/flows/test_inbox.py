"""The inbox: what is read, what is refused, and what stays where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from configs.settings import read_settings
from flows.context import LoopContext
from flows.inbox import inbox_folder, read_inbox
from models.production.registry import Registry
from store.errors import DatabaseUnavailable

APPLES = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)


def context_of(home: Path, url: str) -> LoopContext:
    settings = read_settings({"RATCHET_HOME": str(home)})
    return LoopContext(settings, APPLES, url, Registry("http://127.0.0.1:1"))


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = inbox_folder(tmp_path, APPLES.name)
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("weight,label\n120,small\n240,large\n", encoding="utf-8")
    return folder


def test_a_file_is_read_once_and_one_that_cannot_be_read_is_set_aside(
    inbox: Path, database_url: str, tmp_path: Path
) -> None:
    (inbox / "other.csv").write_text("colour\nred\n", encoding="utf-8")
    report = read_inbox(context_of(tmp_path, database_url))
    assert [file.rows for file in report.read] == [2]
    assert list(report.refused) == ["other.csv"]
    assert files_of(inbox) == ["done/rows.csv", "refused/other.csv"]


def test_with_the_database_away_a_file_is_not_refused_but_waits(inbox: Path, tmp_path: Path) -> None:
    away = "postgresql://ratchet@127.0.0.1:1/ratchet"
    with pytest.raises(DatabaseUnavailable):
        read_inbox(context_of(tmp_path, away))
    assert files_of(inbox) == ["rows.csv"]
