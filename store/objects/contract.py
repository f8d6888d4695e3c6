"""What a storage can: objects by their keys, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from store.errors import WrongKey

DRAFT = ".draft-"
"""How files begin that are being written; none of them is an object."""


@dataclass(frozen=True)
class StoredObject:
    """One that is listed."""

    key: str
    size: int
    """Bytes."""
    changed: datetime
    """When it was written, by the clock of the storage."""


class Storage(Protocol):
    """Objects below one address. Keys are paths such as `snapshots/<use case>/<digest>.parquet`.

    Everything raises `StorageError` where the storage cannot be asked: it names the variable at fault.
    """

    @property
    def url(self) -> str:
        """Its address, without a slash at the end and without credentials."""

    @property
    def is_shared(self) -> bool:
        """Whether `RATCHET_STORAGE` names it; otherwise it is the home itself."""

    def put(self, key: str, content: bytes | Path, *, replace: bool = True) -> None:
        """Write an object whole or not at all, of bytes or of a file.

        Raises:
            ObjectExists: there is one, and it is not to be replaced; of two at once one wins.
        """

    def get(self, key: str) -> bytes:
        """All of an object.

        Raises:
            ObjectMissing: there is none.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """An object as a file to read from anywhere in it; raises as `get`."""

    def fetch(self, key: str, target: Path) -> None:
        """Have a file with the content of an object, whole or not at all; raises as `get`."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Those in a folder and below it, in the order of their keys; all without a prefix.

        Args:
            prefix: a path without a slash at its end.
        """

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is as it should be."""

    def for_a_look(self) -> Storage:
        """The same, which gives up sooner a server that does not answer: for who asks whether it does."""

    def filesystem(self) -> tuple[Any, str]:
        """A `pyarrow.fs.FileSystem`, and the path in it that keys are below."""

    def delta_options(self) -> dict[str, str]:
        """`storage_options` for `deltalake` of tables below `url`; safe with several writers.

        They have credentials in them: do not log them.
        """


def checked_key(key: str) -> str:
    """A key that names one object, and the same one in a folder and in a bucket.

    Raises:
        WrongKey: it does not.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") or not part.isprintable() or part.startswith(DRAFT) for part in parts):
        raise WrongKey(key)
    return key
