"""The inbox: a folder for each use case, whose files are ingested and then moved aside."""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from features.errors import FeatureError, MissingColumns
from features.files.readers.byte_streams import printable_name
from flows.context import LoopContext
from flows.inbox_attempts import MOST_ATTEMPTS, attempting, attempts
from flows.inbox_files import (
    DONE,
    REFUSED,
    list_inbox,
    make_inbox,
    move_aside,
    note_reason,
    signature,
    writers,
)
from store.errors import StoreError
from store.feedback.sources import INBOX
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport

OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors that no file has of itself."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InboxReport:
    """What was in the inbox."""

    read: tuple[IngestReport, ...]
    refused: dict[str, str]
    """Files that could not be read to their end, and why; rows before the fault are stored."""
    left: dict[str, str] = field(default_factory=dict)
    """What stays in the inbox, and why."""


NOTHING_READ = InboxReport((), {})


def read_inbox(context: LoopContext) -> InboxReport:
    """Ingest every file of the inbox that rests, oldest first.

    A file moves to `done/` when its rows are stored, to `refused/` with the reason beside it when it cannot
    be read; one file never keeps another from being read. Ingesting is idempotent, so a run killed in between
    reads the file again and stores nothing twice.

    Raises:
        StoreError, psycopg.Error: the database is away or refuses; files wait where they are.
    """
    folder = make_inbox(context.settings.home, context.use_case.name)
    files = context.use_case.files
    listing = list_inbox(folder, files.rest_seconds, max(files.rest_seconds, files.open_end_seconds))
    report = InboxReport((), {}, dict(listing.left))
    for path in listing.files:
        report = _take(context, path, report)
    return report


def _take(context: LoopContext, path: Path, report: InboxReport) -> InboxReport:
    """The report with what became of one more file."""
    name, before = printable_name(path), signature(path)
    if attempts(path, before) >= MOST_ATTEMPTS:
        why = f"{name}: reading it ended the process {MOST_ATTEMPTS} times, by a crash or for want of memory"
        return _refuse(path, why, report)
    try:
        with context.connect() as conn, attempting(path, before):
            ingested = ingest_file(conn, context.use_case, path, door=INBOX)
    except FeatureError as error:
        return _refuse(path, "; ".join([str(error), *_read_before(path, error)]), report)
    except psycopg.DataError as error:  # what the file holds, not the database
        log.exception("the rows of %s cannot be stored", path)
        return _refuse(path, f"{name}: its rows cannot be stored: {error}", report)
    except (StoreError, psycopg.Error):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            return _leave(path, f"cannot be read now: {error.strerror}", report)
        # Whatever it is, the files behind this one must be read; the traceback is for us.
        log.exception("%s could not be read", path)
        why = f"{name}: unexpected {type(error).__name__}: {error}; the log of the worker says where"
        return _refuse(path, why, report)
    return _keep(path, before, InboxReport((*report.read, ingested), report.refused, report.left))


def _read_before(path: Path, error: FeatureError) -> list[str]:
    """That a file without its header may be the rest of one of this name, written after that was read."""
    done = path.parent / DONE / path.name
    if not isinstance(error, MissingColumns) or not error.has_no_header or not done.exists():
        return []
    return [
        f"a file of this name was read before and lies in {DONE}/: this may be its rest, and the last value "
        "there may be cut; put the whole file into the inbox"
    ]


def _keep(path: Path, before: object, report: InboxReport) -> InboxReport:
    """Move a file that was read to `done/`, unless somebody has written to it meanwhile."""
    if signature(path) != before or writers([path]):
        return _leave(path, "changed while it was read; it is read again once it rests", report)
    try:
        move_aside(path, path.parent / DONE)
    except OSError as error:
        return _leave(path, f"was read, but cannot be moved to {DONE}/: {error.strerror or error}", report)
    return report


def _refuse(path: Path, why: str, report: InboxReport) -> InboxReport:
    name, read, left = printable_name(path), report.read, report.left
    try:
        target = move_aside(path, path.parent / REFUSED)
    except OSError as error:
        report = InboxReport(read, {**report.refused, name: why}, left)
        return _leave(path, f"cannot be moved to {REFUSED}/: {error.strerror or error}", report)
    try:
        note_reason(target, why)
    except OSError as error:
        why = f"{why}; that cannot be written beside it in {REFUSED}/: {error.strerror or error}"
    return InboxReport(read, {**report.refused, name: why}, left)


def _leave(path: Path, why: str, report: InboxReport) -> InboxReport:
    return InboxReport(report.read, report.refused, {**report.left, printable_name(path): why})
