"""What lies in an inbox: the files that rest, and what is left where it is, with the reason."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.security.home import make_private
from features.files.readers.byte_streams import printable_name
from features.files.readers.line_ends import lacks_line_end
from flows.inbox_attempts import NOTE

DONE, REFUSED = "done", "refused"
BEING_WRITTEN = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".swp", "~")
"""Ends of names under which programs write, before they give a file its own."""
PROCESSES = Path("/proc")
Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class Listing:
    """What lies in an inbox, the oldest first."""

    files: tuple[Path, ...]
    """Names that rest; whether they can be read is not known yet."""
    left: dict[str, str]
    """Names that stay where they are, and why."""


def inbox_folder(home: Path, use_case: str) -> Path:
    """Where people and programs drop labelled files."""
    return home / "inbox" / use_case


def make_inbox(home: Path, use_case: str) -> Path:
    """The same, made where it is not there yet."""
    folder = inbox_folder(home, use_case)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def list_inbox(folder: Path, rest_seconds: float, open_end_seconds: float = 0.0) -> Listing:
    """Look through an inbox; waits up to `rest_seconds` to see whether files still change.

    A file rests when nothing about it changed for that long and no process of this machine holds it open for
    writing. Copying with its times kept does not hide a change, as the time of a change of any kind counts.
    One whose last line has no end is not waited for: it stays until it is unchanged for `open_end_seconds`.
    """
    left: dict[str, str] = {}
    candidates: list[Path] = []
    for path in sorted(filter(_is_theirs, folder.iterdir()), key=lambda path: (_modified(path), path.name)):
        why = _stays(path)
        if why is None:
            candidates.append(path)
        else:
            left[printable_name(path)] = why
    left.update(
        {printable_name(path): f"changed within {rest_seconds:g} seconds; it is read once it rests"
         for path in _changing(candidates, rest_seconds)}
    )  # fmt: skip
    left.update(
        {printable_name(path): "its last line has no end, as if it were still being written; it is read once "
         f"it is unchanged for {open_end_seconds:g} seconds (`files.open_end_seconds`)"
         for path in candidates if _may_go_on(path, open_end_seconds)}
    )  # fmt: skip
    left.update({printable_name(path): why for path, why in writers(candidates).items()})
    return Listing(tuple(path for path in candidates if printable_name(path) not in left), left)


def is_empty(folder: Path) -> bool:
    """Whether nobody has put anything into an inbox."""
    return not any(map(_is_theirs, folder.iterdir()))


def _is_theirs(path: Path) -> bool:
    """Whether it is none of what an inbox has of itself."""
    return not (path.name in (DONE, REFUSED) and path.is_dir()) and path.name != NOTE


def _stays(path: Path) -> str | None:
    name = path.name.lower()
    if name.startswith(".") or name.endswith(BEING_WRITTEN):
        return "its name says that it is being written or hidden; it is read once it has another"
    if path.is_dir():
        return "a folder; allowed: files in the inbox itself"
    return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # a link that leads nowhere, or just gone
        return 0.0


def signature(path: Path) -> Signature | None:
    """What changes with each write to a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _changing(paths: Sequence[Path], rest_seconds: float) -> list[Path]:
    now = time.time_ns()
    rest = int(rest_seconds * 1e9)
    before = {path: signature(path) for path in paths}
    recent = [path for path, seen in before.items() if seen is not None and not 0 <= rest <= now - seen[3]]
    if not recent:
        return []
    time.sleep(rest_seconds)
    return [path for path in recent if signature(path) != before[path]]


def _may_go_on(path: Path, open_end_seconds: float) -> bool:
    status = signature(path)
    if status is None or not 0 <= time.time_ns() - status[3] < int(open_end_seconds * 1e9):
        return False
    try:
        return path.is_file() and lacks_line_end(path)
    except OSError:  # whoever reads it will say so
        return False


def writers(paths: Sequence[Path]) -> dict[Path, str]:
    """Which of the files a process of this machine holds open for writing, as far as this one may know.

    Files are known by their inode: a writer may hold one under another name, such as a hard link.
    """
    wanted = {inode: path for path in paths if (inode := _inode(path)) is not None}
    if not wanted or not PROCESSES.is_dir():
        return {}
    return {
        wanted[inode]: f"process {process} holds it open for writing; it is read once it is closed"
        for process, number in _open_files()
        if (inode := _inode(PROCESSES / process / "fd" / number)) in wanted and _writes(process, number)
    }


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere, or closed meanwhile
        return None
    return status.st_dev, status.st_ino


def _open_files() -> Iterator[tuple[str, str]]:
    """Process and number of files that are open; processes of others may hide theirs."""
    for process in PROCESSES.iterdir():
        if not process.name.isdecimal():
            continue
        try:
            numbers = list((process / "fd").iterdir())
        except OSError:
            continue
        for number in numbers:
            try:
                is_file = str(number.readlink()).startswith("/")
            except OSError:  # closed meanwhile
                continue
            if is_file:
                yield process.name, number.name


def _writes(process: str, number: str) -> bool:
    try:
        facts = (PROCESSES / process / "fdinfo" / number).read_text(encoding="ascii")
    except OSError:
        return False
    flags = next((line.split()[1] for line in facts.splitlines() if line.startswith("flags:")), "0")
    return int(flags, 8) & (os.O_WRONLY | os.O_RDWR) != 0


def move_aside(path: Path, folder: Path) -> Path:
    """Move a file to a folder, under its name or, where that is taken, with a number behind it.

    Raises:
        OSError: it cannot be moved.
    """
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 1
    while os.path.lexists(target):
        target = folder / f"{path.name}.{number}"
        number += 1
    path.rename(target)
    if stat.S_ISREG(target.lstat().st_mode):
        make_private(target)
    return target


def note_reason(target: Path, reason: str) -> None:
    """Say beside a refused file why it was refused.

    Raises:
        OSError: it cannot be written.
    """
    note = target.with_name(f"{_shortened(target.name)}.reason.txt")
    text = (
        f"{reason}\nMend the file and put it into the inbox again: rows that are stored already count once.\n"
    )
    note.write_text(text, encoding="utf-8", errors="replace")
    make_private(note)


def _shortened(name: str) -> str:
    """A name may have 255 bytes on most systems."""
    return os.fsdecode(os.fsencode(name)[:240])
