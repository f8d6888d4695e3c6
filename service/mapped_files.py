"""Files that are written through memory: their room on the disk is taken before, or memory stands for them.

To write into such a file where the disk has no room for it ends the process (SIGBUS): no error tells of it,
and the version that answers in that moment would be blamed.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from prometheus_client import mmap_dict, values

log = logging.getLogger("ratchet.service")
FIRST_BYTES: int = mmap_dict._INITIAL_MMAP_SIZE


def take_room(descriptor: int, size: int) -> None:
    """Have a file be so long, with all of it on the disk, where the system can see to that.

    Raises:
        OSError: the disk is full.
    """
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is None:
        os.ftruncate(descriptor, size)
    else:
        reserve(descriptor, 0, size)


class SafeCounts(mmap_dict.MmapedDict):
    """What one worker counts, in a file that the others read; on a full disk in memory, which they do not."""

    _f: Any
    _used: int
    _capacity: int

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode:
            super().__init__(filename, read_mode=True)  # type: ignore[no-untyped-call]
            return
        path = Path(filename)
        try:
            with path.open("ab") as file:
                if not file.tell():
                    take_room(file.fileno(), FIRST_BYTES)
        except OSError as error:
            log.warning("what is counted here is not to be seen in /metrics: %s", error)
            path.unlink(missing_ok=True)  # those who read all of them take none that is empty
            filename = _in_memory()
        super().__init__(filename)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        length = 4 + len(key.encode())
        if self._used + length + 8 - length % 8 + 16 > self._capacity:  # as an entry is laid out
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        """Have room for twice as much, which is what is asked for next."""
        try:
            take_room(self._f.fileno(), 2 * self._capacity)
        except OSError as error:
            log.warning("what is counted here from now on is not to be seen in /metrics: %s", error)
            self._f.truncate(self._capacity)
            self._f = Path(_in_memory()).open("r+b")  # noqa: SIM115 - it lives as long as this does
            self._f.write(self._m[: self._capacity])
            self._f.flush()


def _in_memory() -> str:
    """The name of a file in memory that goes with this process."""
    return f"/proc/self/fd/{os.memfd_create('counts')}"


def count_safely() -> None:
    """Have all that is counted in this process from now on be counted so."""
    vars(values)["MmapedDict"] = SafeCounts
