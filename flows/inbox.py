"""The inbox: a folder for each use case, whose files are ingested and then moved aside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from configs.security.home import make_private
from features.errors import FeatureError
from flows.context import LoopContext
from store.feedback.ingest import IngestReport, ingest_file

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".parquet")


@dataclass(frozen=True)
class InboxReport:
    """What was in the inbox."""

    read: tuple[IngestReport, ...]
    refused: dict[str, str]
    """Files that could not be read at all, and why."""


def inbox_folder(home: Path, use_case: str) -> Path:
    """Where people and programs drop labelled files."""
    return home / "inbox" / use_case


def read_inbox(context: LoopContext) -> InboxReport:
    """Ingest every file of the inbox, oldest first.

    A file moves to `done/` when its rows are stored, to `refused/` when it cannot be read. Ingesting is
    idempotent, so a run killed in between reads the file again and stores nothing twice. Names that begin
    with a dot are left alone: they are being written.
    """
    folder = inbox_folder(context.settings.home, context.use_case.name)
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(
        (path for path in folder.iterdir() if path.is_file() and path.name.endswith(SUFFIXES)),
        key=lambda path: (path.stat().st_mtime, path.name),
    )
    reports: list[IngestReport] = []
    refused: dict[str, str] = {}
    for path in (path for path in files if not path.name.startswith(".")):
        try:
            with context.connect() as conn:
                reports.append(ingest_file(conn, context.use_case, path))
        except FeatureError as error:
            refused[path.name] = str(error)
            _move(path, folder / "refused")
        else:
            _move(path, folder / "done")
    return InboxReport(tuple(reports), refused)


def _move(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 1
    while target.exists():
        target = folder / f"{path.name}.{number}"
        number += 1
    path.rename(target)
    make_private(target)
