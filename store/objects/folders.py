"""A storage that is a folder: of this machine, or one that several have mounted."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from configs.addresses.storage_url import folder_url
from store.errors import ObjectExists, ObjectMissing, StorageRefused
from store.objects.contract import DRAFT, StoredObject, checked_key


@dataclass(frozen=True)
class FolderStorage:
    """Objects as files."""

    folder: Path
    is_shared: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return folder_url(self.folder)

    def for_a_look(self) -> FolderStorage:
        """Itself: the system says how long a folder is waited for."""
        return self

    def put(self, key: str, content: bytes | Path, *, replace: bool = True) -> None:
        """Write a file whole or not at all."""
        path = self._path(key)
        self.ensure_folder()
        with _opened(content) as source, self._told(key):
            try:
                with _draft_in(path.parent) as draft:
                    shutil.copyfileobj(source, draft)
                    draft.flush()
                    os.fsync(draft.fileno())
                    _install(Path(draft.name), path, replace=replace)
            except FileExistsError as error:
                raise ObjectExists(self.url, key) from error

    def get(self, key: str) -> bytes:
        """All of a file."""
        with self.open(key) as file:
            return file.read()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """A file to read."""
        with self._told(key):
            file = self._path(key).open("rb")
        with file:
            yield file

    def fetch(self, key: str, target: Path) -> None:
        """Copy a file."""
        with self.open(key) as source, draft_of(target) as draft:
            shutil.copyfileobj(source, draft)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Files in a folder and below it; links are none."""
        top = self.folder / checked_key(prefix) if prefix else self.folder
        self.ensure_folder()
        with self._told(prefix):
            found = sorted(_walk(top, self.folder), key=lambda one: one.key)
        yield from found

    def delete(self, key: str) -> None:
        """Delete a file, and folders that are empty then."""
        path = self._path(key)
        with self._told(key):
            path.unlink(missing_ok=True)
            for parent in path.parents[: len(Path(key).parts) - 1]:
                try:
                    parent.rmdir()
                except OSError:  # there is more in it, or it is gone
                    break

    def filesystem(self) -> tuple[Any, str]:
        """The local file system, and the folder."""
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), str(self.folder)

    def delta_options(self) -> dict[str, str]:
        """None are needed: a rename that does not replace keeps commits apart."""
        return {}

    def ensure_folder(self) -> None:
        """Refuse a shared folder that is not there: a mount that failed would be written on this machine."""
        if self.is_shared and not self.folder.is_dir():
            raise StorageRefused(self.url, "there is no such folder; make it, or mount it")

    def _path(self, key: str) -> Path:
        return self.folder / checked_key(key)

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissing(self.url, key) from error
        except OSError as error:
            raise StorageRefused(self.url, f"'{key}': {error.strerror or error}") from error


@contextmanager
def draft_of(target: Path) -> Iterator[BinaryIO]:
    """A file that is in the place of `target` at the end, where nothing was raised."""
    with _draft_in(target.parent) as draft:
        yield draft
        draft.flush()
        os.fsync(draft.fileno())
        Path(draft.name).replace(target)


@contextmanager
def _draft_in(folder: Path) -> Iterator[BinaryIO]:
    """A file that is gone at the end, unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=DRAFT, delete=False) as draft:
        try:
            yield cast(BinaryIO, draft)
        finally:
            Path(draft.name).unlink(missing_ok=True)


@contextmanager
def _opened(content: bytes | Path) -> Iterator[BinaryIO]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        yield file


def _install(draft: Path, path: Path, *, replace: bool) -> None:
    if replace:
        draft.replace(path)
    else:
        os.link(draft, path)  # unlike a rename it fails where there is one


def _walk(folder: Path, root: Path) -> Iterator[StoredObject]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(DRAFT):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root)
            elif entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                changed = datetime.fromtimestamp(status.st_mtime, UTC)
                yield StoredObject(str(Path(entry.path).relative_to(root)), status.st_size, changed)
