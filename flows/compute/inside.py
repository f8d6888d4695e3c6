"""What work sees of the pool that does it: shared values, a folder of its own, whom to report to.

It runs in processes that others start, so it imports little.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_LOADED = 4
"""Shared values that a process keeps loaded."""
REPORT_BYTES = 60_000


@dataclass(frozen=True)
class StoredValue:
    """A shared value as a file of this machine."""

    path: Path


@dataclass(frozen=True)
class PackedFolder:
    """The files of a folder as they travel."""

    name: str
    """Tells it from all others; it is unpacked once."""
    packed: bytes


_loaded: OrderedDict[Path, Any] = OrderedDict()
_lock = threading.Lock()
_reports: tuple[socket.socket, str] | None = None
_folder: Path | None = None


def value_of(shared: Any) -> Any:
    """What a pool's `share` was given."""
    if not isinstance(shared, StoredValue):
        return shared
    with _lock:
        if shared.path not in _loaded:
            _loaded[shared.path] = pickle.loads(shared.path.read_bytes())
            while len(_loaded) > MOST_LOADED:
                _loaded.popitem(last=False)
        _loaded.move_to_end(shared.path)
        return _loaded[shared.path]


def folder_of(shared: Path | PackedFolder) -> Path:
    """The folder that a pool's `share_folder` was given; it may be read only."""
    if isinstance(shared, Path):
        return shared
    target = own_folder() / "shared" / shared.name
    with _lock:
        if not target.exists():
            unpack_folder(shared.packed, target)
    return target


def pack_folder(folder: Path) -> bytes:
    """The files of a folder as bytes, the same for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                about = tarfile.TarInfo(path.relative_to(folder).as_posix())
                about.size = path.stat().st_size
                with path.open("rb") as file:
                    archive.addfile(about, file)
    return packed.getvalue()


def unpack_folder(packed: bytes, target: Path) -> None:
    """Write the files of a packed folder to one that is not there yet, and that appears when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(draft, filter="data")
    draft.replace(target)


def own_folder() -> Path:
    """A folder of this process alone, which is gone when it ends."""
    global _folder
    worker = _dask_worker()
    if worker is not None:
        folder = Path(worker.local_directory) / "ratchet"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="ratchet-"))
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    return _folder


def reporter(topic: str) -> Callable[..., None]:
    """What tells whoever listens to a topic, from any thread; what cannot be told now is left out."""
    worker = _dask_worker()

    def report(**told: Any) -> None:
        if worker is not None:
            worker.log_event(topic, told)
        elif _reports is not None:
            door, address = _reports
            message = json.dumps([topic, told]).encode()
            if len(message) < REPORT_BYTES:
                with suppress(OSError):  # full, or nobody listens any more
                    door.sendto(message, address)

    return report


def report_to(address: str, folder: Path) -> None:
    """Have this process report to a socket of this machine, and use a folder as its own."""
    global _reports, _folder
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.setblocking(False)
    _reports = door, address
    _folder = folder / str(os.getpid())
    _folder.mkdir(parents=True, exist_ok=True)


def unwanted_check() -> Callable[[], bool]:
    """What tells, from any thread, whether nobody waits any more for the work that this thread is at."""
    worker = _dask_worker()
    if worker is None:
        return lambda: False  # processes of this machine are ended with what they are at
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "released", "forgotten")

    return is_unwanted


def _dask_worker() -> Any:
    """The Dask worker that this thread works for; None: this is no thread of one."""
    if "distributed.worker" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def who_am_i() -> str:
    """This process, for people: the worker's name, or the number of the process."""
    worker = _dask_worker()
    return f"process {os.getpid()}" if worker is None else f"{worker.name} at {worker.address}"
