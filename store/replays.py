"""Replays that are kept: `RATCHET_HOME/replay/<use case>/<id>/replay.json`, written whole, read warily.

Commands write them and servers show them. Nothing else is read than these files: links are not followed, and
what is no replay is told as damaged.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

DOCUMENT = "replay.json"
ATTEMPT = "attempt.json"
FITS = "fits"
MOST_BYTES = 16 * 2**20
_NAME = re.compile(r"[0-9a-f]{16}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Seconds = Annotated[float, Field(ge=0)]


class PolicyFigures(BaseModel):
    """How one policy did."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    accuracy: _Share
    promotions: _Count
    worse: _Count
    harmful: _Count
    rollbacks: _Count
    retrains: _Count
    fit_seconds: _Seconds
    seconds: _Seconds
    by_period: tuple[_Share, ...]
    promoted_at: tuple[_Count, ...]
    harm: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


class ReplayDocument(BaseModel):
    """What `replay.json` says."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    use_case: str
    at: datetime | None = None
    """When it ended; earlier releases did not say."""
    source: str
    periods: Annotated[int, Field(gt=0)]
    rows: _Count
    first_rows: _Count
    refused: _Count = 0
    """Rows of the file that could not be used."""
    delay: _Count
    starts: tuple[str | None, ...]
    """Time of the first row of each period; None, or `NaT` by earlier releases: rows have no times."""
    policies: Annotated[dict[str, PolicyFigures], Field(min_length=1)]
    left_out: dict[str, str] = {}

    @model_validator(mode="after")
    def _periods_agree(self) -> Self:
        if len(self.starts) != self.periods:
            raise ValueError(f"starts has {len(self.starts)} periods of {self.periods}")
        if "default" not in self.policies:
            raise ValueError(f"policies has no default, but {', '.join(self.policies)}")
        for name, one in self.policies.items():
            if len(one.by_period) != self.periods:
                raise ValueError(f"policies.{name}.by_period has {len(one.by_period)} of {self.periods}")
            if max(one.promoted_at, default=0) >= self.periods:
                raise ValueError(f"policies.{name}.promoted_at names a period beyond {self.periods - 1}")
        return self


class Attempt(BaseModel):
    """What `attempt.json` says of a replay that has not ended."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    """When it began; when it failed, where it did."""
    command: Annotated[str, Field(max_length=10_000)]
    """What runs it again."""
    error: Annotated[str | None, Field(max_length=2_000)] = None
    """Why it failed; None: it has not."""


@dataclass(frozen=True)
class KeptReplay:
    """A replay that has ended."""

    id: str
    at: datetime
    document: ReplayDocument


@dataclass(frozen=True)
class DamagedReplay:
    """A replay whose file cannot be read."""

    id: str
    problem: str


@dataclass(frozen=True)
class UnendedReplay:
    """A replay under way, or one that was stopped or killed and can go on."""

    id: str
    fits: int
    """Made so far."""
    last_at: datetime
    """When the last of them was kept."""
    command: str | None = None
    """What goes on with it; None: an earlier release began it."""


@dataclass(frozen=True)
class FailedReplay:
    """A replay that could not be played to its end, and cannot until the cause is mended."""

    id: str
    fits: int
    """Made before, which are not made again."""
    at: datetime
    error: str
    command: str


Replay = KeptReplay | DamagedReplay | UnendedReplay | FailedReplay


@dataclass(frozen=True)
class KeptReplays:
    """What there is of a use case, the newest first."""

    ended: tuple[KeptReplay, ...] = ()
    damaged: tuple[DamagedReplay, ...] = ()
    unended: tuple[UnendedReplay, ...] = ()
    failed: tuple[FailedReplay, ...] = ()


def replay_folder(home: Path, use_case: str) -> Path:
    """Where the replays of a use case are kept, each in a folder that is named by what was replayed."""
    return home / "replay" / use_case


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write `replay.json` whole or not at all, in the place of an earlier one."""
    _write(folder, DOCUMENT, json.dumps(document, indent=1, allow_nan=False))
    (folder / ATTEMPT).unlink(missing_ok=True)


@contextmanager
def attempting(folder: Path, command: str) -> Iterator[None]:
    """Keep what runs a replay again while it runs, and why it failed where it does; a stop is no failure."""
    _write(folder, ATTEMPT, Attempt(at=datetime.now(UTC), command=command).model_dump_json())
    try:
        yield
    except Exception as error:
        sentence = (str(error) or type(error).__name__)[:2_000]
        failed = Attempt(at=datetime.now(UTC), command=command, error=sentence)
        _write(folder, ATTEMPT, failed.model_dump_json())
        raise


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    with draft.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)


def list_replays(home: Path, use_case: str, limit: int) -> KeptReplays:
    """The newest `limit` replays of a use case by the time that they were written, and what is not one.

    Raises:
        PermissionError: the folder may not be read.
    """
    with _opened(home, use_case) as place:
        if place is None:
            return KeptReplays()
        newest = sorted(_ids(place), key=lambda name: _changed(place, name), reverse=True)[:limit]
        read = [_look(place, use_case, name) for name in newest]
    return KeptReplays(
        tuple(one for one in read if isinstance(one, KeptReplay)),
        tuple(one for one in read if isinstance(one, DamagedReplay)),
        tuple(one for one in read if isinstance(one, UnendedReplay)),
        tuple(one for one in read if isinstance(one, FailedReplay)),
    )


def find_replay(home: Path, use_case: str, name: str) -> Replay | None:
    """One replay by its id; None: there is none."""
    with _opened(home, use_case) as place:
        if place is None or _NAME.fullmatch(name) is None or name not in _ids(place):
            return None
        return _look(place, use_case, name)


@contextmanager
def _opened(home: Path, use_case: str) -> Iterator[int | None]:
    """The folder of a use case, reached without following a link below the home; None: there is none."""
    opened: list[int] = []
    try:
        try:
            opened.append(os.open(home, os.O_RDONLY | os.O_DIRECTORY))
            for name in replay_folder(Path(), use_case).parts:
                opened.append(os.open(name, _FOLDER, dir_fd=opened[-1]))
        except (FileNotFoundError, NotADirectoryError):  # a link is no directory either
            yield None
            return
        yield opened[-1]
    finally:
        for one in opened:
            os.close(one)


def _ids(place: int) -> list[str]:
    with os.scandir(place) as entries:
        return [
            one.name for one in entries if _NAME.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
        ]


def _changed(place: int, name: str) -> float:
    """When its file was written; where there is none, when its last fit was kept."""
    for path in (f"{name}/{DOCUMENT}", f"{name}/{FITS}", name):
        try:
            return os.stat(path, dir_fd=place, follow_symlinks=False).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            continue
    return 0.0


def _look(place: int, use_case: str, name: str) -> Replay:
    try:
        folder = os.open(name, _FOLDER, dir_fd=place)
    except OSError as error:
        return DamagedReplay(name, f"its folder cannot be opened: {error.strerror}")
    try:
        return _read(folder, use_case, name)
    except FileNotFoundError:
        return _unended(place, folder, name)
    except (OSError, ValueError) as error:
        return DamagedReplay(name, f"{DOCUMENT}: {_reason(error)}")
    finally:
        os.close(folder)


def _read(folder: int, use_case: str, name: str) -> KeptReplay:
    """
    Raises:
        FileNotFoundError: it has not ended.
        OSError, ValueError: there is something else in its place.
    """
    content, changed = _content(folder, DOCUMENT)
    document = ReplayDocument.model_validate_json(content)
    if document.use_case != use_case:
        raise ValueError(f"is of use case {document.use_case!r}")
    at = document.at or datetime.fromtimestamp(changed, UTC)
    return KeptReplay(name, at if at.tzinfo else at.replace(tzinfo=UTC), document)


def _content(folder: int, name: str) -> tuple[bytes, float]:
    """Of a file, with when it was written.

    Raises:
        OSError, ValueError: there is none, or something else in its place.
    """
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES // 2**20} MiB")
    return content, status.st_mtime


def _unended(place: int, folder: int, name: str) -> UnendedReplay | FailedReplay:
    """What has no document: by its attempt, where one can be read."""
    fits, last_at = _fits(folder), datetime.fromtimestamp(_changed(place, name), UTC)
    try:
        attempt = Attempt.model_validate_json(_content(folder, ATTEMPT)[0])
    except (OSError, ValueError):  # of an earlier release, or no attempt of ours
        return UnendedReplay(name, fits, last_at)
    if attempt.error is None:
        return UnendedReplay(name, fits, last_at, attempt.command)
    at = attempt.at if attempt.at.tzinfo else attempt.at.replace(tzinfo=UTC)
    return FailedReplay(name, fits, at, attempt.error, attempt.command)


def _fits(folder: int) -> int:
    try:
        fits = os.open(FITS, _FOLDER, dir_fd=folder)
    except OSError:
        return 0
    try:
        return sum(name.endswith(".npz") and not name.startswith(".") for name in os.listdir(fits))  # noqa: PTH208
    finally:
        os.close(fits)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
