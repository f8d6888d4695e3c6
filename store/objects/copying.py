"""What machines share, copied from one storage to another: each object read back, and nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from store.errors import StorageError
from store.objects.contract import Storage, StoredObject

SHARED = ("mlflow", "snapshots", "replay", "history", "predictions")
"""Folders of a home that other machines read; all else is a machine's own."""
NOTES = "storage-copied.jsonl"
"""File of a home that says what was copied and found whole, so that a copy that was cut off goes on."""
_OWN = (".artifact.uploading.", ".draft-")
"""How files begin that are being written."""
_OF_A_REPLAY = ("replay.json", "replay.png")
_PIECE = 2**20


@dataclass(frozen=True)
class Note:
    """One object that is at its target, whole."""

    target: str
    key: str
    size: int
    changed: float
    sha256: str


@dataclass(frozen=True)
class Copied:
    """What a copy came to."""

    objects: int
    size: int
    """Bytes that were copied."""
    before: int
    """Objects that an earlier copy had brought there."""


def copy_all(
    source: Storage, target: Storage, notes: Path, on_object: Callable[[StoredObject, int, int], None]
) -> Copied:
    """Copy every object that machines share; what is at the target and not at the source stays.

    Args:
        notes: a file that is read and continued.
        on_object: told of each object, its number and how many there are.

    Raises:
        StorageError: one of the two fails, or gives back other bytes than were written; the same again goes
            on from there.
    """
    known = {(one.target, one.key): one for one in _read(notes)}
    wanted = [one for folder in SHARED for one in _ordered(source.list(folder))]
    present = {one.key: one.size for folder in SHARED for one in target.list(folder)}
    done, size, before = 0, 0, 0
    with notes.open("a", encoding="utf-8") as file, TemporaryDirectory(dir=notes.parent) as workdir:
        for number, one in enumerate(wanted, 1):
            on_object(one, number, len(wanted))
            note = known.get((target.url, one.key))
            as_noted = note is not None and (note.size, note.changed) == (one.size, one.changed.timestamp())
            if as_noted and present.get(one.key) == one.size:
                before += 1
                continue
            digest = _copy(source, target, one.key, Path(workdir) / "object")
            made = Note(target.url, one.key, one.size, one.changed.timestamp(), digest)
            file.write(json.dumps(asdict(made)) + "\n")
            file.flush()
            done, size = done + 1, size + one.size
    return Copied(done, size, before)


def _copy(source: Storage, target: Storage, key: str, draft: Path) -> str:
    """Returns the SHA-256 of the object, which is that of what the target gives back."""
    source.fetch(key, draft)
    with draft.open("rb") as file:
        sent = _digest(file)
    target.put(key, draft)
    with target.open(key) as file:
        found = _digest(file)
    if found != sent:
        raise StorageError(f"{target.url} gives back other bytes of '{key}' than were written there")
    return sent


def _ordered(listed: Iterator[StoredObject]) -> list[StoredObject]:
    """What a log of a table names comes before the log; what is being written, or no result, is left out."""
    kept = [one for one in listed if not one.key.rpartition("/")[2].startswith(_OWN)]
    wanted = [one for one in kept if not one.key.startswith("replay/") or one.key.endswith(_OF_A_REPLAY)]
    return sorted(wanted, key=lambda one: ("/_delta_log/" in one.key, one.key))


def _digest(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    while piece := file.read(_PIECE):
        hashed.update(piece)
    return hashed.hexdigest()


def _read(notes: Path) -> Iterator[Note]:
    """Notes of earlier copies; a line that a kill has cut off is none."""
    try:
        lines = notes.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Note(**json.loads(line))
        except (ValueError, TypeError):
            continue
