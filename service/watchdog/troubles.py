"""What versions have done to workers of this home, and which of them may not serve here for it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

HANG, CRASH, FAILS = "hang", "crash", "fails"
CRASH_WINDOW_SECONDS = 600.0
"""Two crashes while answering within this time are the version's fault; one may be the machine's."""
MOST_KEPT = 200


@dataclass(frozen=True)
class Trouble:
    """One time that a version hung, or that a worker which ran it crashed."""

    use_case: str
    version: int
    kind: str
    doing: str
    at: float
    """Seconds since the epoch."""
    detail: str


class Troubles:
    """The record of all workers of a home, in one file; kept until the version is announced anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, trouble: Trouble) -> None:
        """Note one."""
        with self._changing() as file:
            kept = [*_read(file), trouble][-MOST_KEPT:]
            _write(file, kept)

    def forget(self, use_case: str, version: int) -> None:
        """Give a version a new chance: it has been made production again."""
        if not self._path.exists():
            return
        with self._changing() as file:
            troubles = _read(file)
            kept = [one for one in troubles if (one.use_case, one.version) != (use_case, version)]
            if len(kept) < len(troubles):
                _write(file, kept)

    def reason(self, use_case: str, version: int) -> str | None:
        """Why a version may not serve here; None: it may."""
        try:
            with self._path.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                troubles = _read(file)
        except FileNotFoundError:
            return None
        return judge([one for one in troubles if (one.use_case, one.version) == (use_case, version)])

    def content(self) -> bytes:
        """The record as it lies there, empty where there is none; another one has changed.

        Its time does not tell: two changes within one tick of the file system's clock have the same.
        """
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    @contextmanager
    def _changing(self) -> Iterator[IO[str]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def judge(troubles: Sequence[Trouble]) -> str | None:
    """Why a version with these troubles, oldest first, may not serve; None: it may.

    A hang, failing on most requests, or a crash while it is loaded is enough; while it answers, two
    crashes within `CRASH_WINDOW_SECONDS` are.
    """
    for number, trouble in enumerate(troubles):
        if trouble.kind != CRASH or trouble.doing == "loading":
            return trouble.detail
        if number and trouble.at - troubles[number - 1].at <= CRASH_WINDOW_SECONDS:
            return f"{trouble.detail}, twice within {CRASH_WINDOW_SECONDS / 60:g} minutes"
    return None


def _read(file: IO[str]) -> list[Trouble]:
    file.seek(0)
    lines = file.read().splitlines()
    return [Trouble(**json.loads(line)) for line in lines if line.endswith("}")]


def _write(file: IO[str], troubles: Sequence[Trouble]) -> None:
    file.seek(0)
    file.truncate()
    file.write("".join(json.dumps(asdict(trouble)) + "\n" for trouble in troubles))
    file.flush()
