"""The answered batches of a file, until the output is whole: a file each, and a ledger that says which count.

Without a ledger those count that are there, as each appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.files.batches import Batch
from flows.batch.answering import LABEL, LINE, PROBLEM, SCORE, AnsweredBatch, as_parquet
from store.file_answers import AnsweredPart, FileLedger

STATE = "state.json"
ANSWERING = "answering"
JOINED = "joined"


@dataclass(frozen=True)
class Joined:
    """What an output holds once its parts are joined."""

    rows: int
    refused: int
    disarmed: int
    """Cells that a spreadsheet would have computed."""
    file: str
    """What tells the file of it from others."""


@dataclass
class Parts:
    """Those of one output.

    Args:
        ledger: opened; None: none is kept.
        done: what it had when it was opened.
    """

    folder: Path
    ledger: FileLedger | None
    done: dict[int, AnsweredPart]
    rows: int = 0
    refused: int = 0
    resumed: int = 0
    files: dict[int, Path] = field(default_factory=dict)

    @property
    def in_order(self) -> list[Path]:
        """The files of all parts, as their rows stand in the file."""
        return [self.files[number] for number in sorted(self.files)] or [self._no_rows()]

    def take_up(self, number: int, batch: Batch) -> bool:
        """Whether an earlier call has answered a batch; then it counts."""
        path = self._path(number)
        if self.ledger is None:
            if not path.exists():
                return False
            problems = pq.read_table(path, columns=[PROBLEM])[PROBLEM]
            rows, refused = len(problems), len(problems) - problems.null_count
        else:
            part = self.done.get(number)
            if part is None:
                return False
            if (part.first_line, part.rows) != _extent(batch) or digest_of(path) != part.digest:
                self.ledger.forget(number)  # another batch, or a file that a failing disk has cut
                return False
            rows, refused = part.rows, part.refused
        self.resumed += rows
        self._count(number, rows, refused)
        return True

    def keep(self, number: int, first_line: int, answered: AnsweredBatch) -> None:
        """Make the answers to a batch safe, and only then note that it is done."""
        path = self._path(number)
        draft = path.with_name(f".{os.getpid()}.{path.name}")
        with draft.open("wb") as file:
            file.write(answered.parquet)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(self.folder)
        if self.ledger is not None:
            digest = hashlib.sha256(answered.parquet).hexdigest()
            self.ledger.acknowledge(
                AnsweredPart(
                    number, first_line, answered.rows, answered.refused, digest,
                    answered.answered_by, round(answered.seconds, 3),
                )
            )  # fmt: skip
        self._count(number, answered.rows, answered.refused)

    def draft_of(self, output: Path) -> Path:
        """Where the output is joined: a kill leaves it among the parts, with which it goes.

        Each process has its own, as one whose lock went with its connection may still be at it.
        """
        return self.folder / f"whole.{os.getpid()}.{output.name}"

    def put_in_place(self, draft: Path, output: Path, disarmed: int) -> Joined:
        """Have the joined parts be the output, safe before its parts go; noted, as a kill may come then."""
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        joined = Joined(self.rows, self.refused, disarmed, _identity(draft))
        noted = json.loads((self.folder / STATE).read_text(encoding="utf-8")) | {JOINED: asdict(joined)}
        state = self.folder / f"{os.getpid()}.{STATE}"
        state.write_text(json.dumps(noted), encoding="utf-8")
        state.replace(self.folder / STATE)
        draft.replace(output)
        _sync_folder(output.absolute().parent)
        return joined

    def finish(self) -> None:
        """The output is whole: no part is needed any more. What says so goes last, as a kill may come."""
        if self.ledger is not None:
            self.ledger.finish(self.rows, self.refused)
        state = self.folder / STATE
        for path in [one for one in self.folder.iterdir() if one != state]:
            path.unlink(missing_ok=True)
        _sync_folder(self.folder)
        state.unlink(missing_ok=True)
        self.folder.rmdir()

    def _count(self, number: int, rows: int, refused: int) -> None:
        self.files[number] = self._path(number)
        self.rows += rows
        self.refused += refused

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"

    def _no_rows(self) -> Path:
        path = self.folder / "none.parquet"
        kinds = {LINE: pa.int64(), LABEL: pa.string(), SCORE: pa.float32(), PROBLEM: pa.string()}
        path.write_bytes(as_parquet(pa.schema(list(kinds.items())).empty_table()))
        return path


def open_parts(path: Path, output: Path, version: int, ledger: FileLedger | None) -> Parts:
    """The parts of an output, without those of another file or version.

    Raises:
        FileBusy: another process answers into this output.
    """
    folder, state = parts_folder(output), read_state(output)
    same = begun_version(path, output) == version
    done: dict[int, AnsweredPart] = {}
    if ledger is not None:
        begun = state.get(ANSWERING) if state is not None and same else None
        done = ledger.open(begun, version, str(path.absolute()), str(output.absolute()))
        same = same and begun == ledger.id
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        noted = file_state(path, version) | {ANSWERING: None if ledger is None else ledger.id}
        (folder / STATE).write_text(json.dumps(noted), encoding="utf-8")
    return Parts(folder, ledger, done)


def finish_whole(path: Path, output: Path, version: int, ledger: FileLedger | None) -> Joined | None:
    """Let go of the parts of an output that an earlier call has made whole, and was cut off then.

    Returns:
        What it holds; None: the output is something else.

    Raises:
        FileBusy: another process answers into it.
    """
    folder, state = parts_folder(output), read_state(output)
    if state is None or JOINED not in state or begun_version(path, output) != version:
        _forget_empty(folder)
        return None
    joined = Joined(**state[JOINED])
    if joined.file != _identity(output):
        return None
    if ledger is not None:
        ledger.open(state[ANSWERING], version, str(path.absolute()), str(output.absolute()))
    Parts(folder, ledger, {}, joined.rows, joined.refused).finish()
    return joined


def _forget_empty(folder: Path) -> None:
    """Take a folder away that has no parts any more: a kill came just before that."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def begun_version(path: Path, output: Path) -> int | None:
    """The version that a call which was cut off has begun with; None when there is nothing to go on with."""
    state = read_state(output)
    if state is None:
        return None
    version = state.get("version")
    told = {name: value for name, value in state.items() if name not in (ANSWERING, JOINED)}
    return version if isinstance(version, int) and told == file_state(path, version) else None


def read_state(output: Path) -> dict[str, Any] | None:
    """What the parts of an output are of; None where there are none."""
    try:
        state = json.loads((parts_folder(output) / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def file_state(path: Path, version: int) -> dict[str, Any]:
    """What tells a file, as it is now, and a version from others."""
    stat = path.stat()
    return {
        "file": str(path.absolute()), "bytes": stat.st_size, "changed": stat.st_mtime_ns, "version": version,
    }  # fmt: skip


def parts_folder(output: Path) -> Path:
    """Where the parts of an output are until it is whole."""
    return output.with_name(f".{output.name}.parts")


def first_line(batch: Batch) -> int:
    """Where a batch begins in its file; -1: it has no rows, and no lines that are none."""
    return _extent(batch)[0]


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file; None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _extent(batch: Batch) -> tuple[int, int]:
    lines = [*batch.lines[:1].tolist(), *(bad.line for bad in batch.bad[:1])]
    return min(lines, default=-1), batch.table.num_rows + len(batch.bad)


def _identity(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"


def _sync_folder(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
