"""Replays of every machine: published to the storage when they end, copied into a home when one asks there.

What has not ended or has failed stays where it can go on: its fits are there.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from configs.settings import Settings
from store.errors import ObjectMissing, StorageError
from store.objects.contract import Storage, StoredObject
from store.objects.opening import open_storage
from store.replays import DOCUMENT, MOST_BYTES, replay_folder

PICTURE = "replay.png"
AGAIN_SECONDS, PATIENCE_SECONDS = 5.0, 60.0
"""Until the storage is asked again: after an answer, and after none."""

log = logging.getLogger("ratchet.replays")


def publish_replay(storage: Storage, use_case: str, folder: Path) -> None:
    """Have other machines see a replay that has ended, where there is a storage for that.

    Raises:
        StorageError: it cannot be written there; the folder has it still.
    """
    if storage.is_shared:
        below = replay_folder(Path(), use_case).as_posix()
        for name in (PICTURE, DOCUMENT):  # what says that it has ended comes last
            storage.put(f"{below}/{folder.name}/{name}", folder / name)


class ReplayCopies:
    """Brings what other machines have published into a home, for one process."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._storage: Storage | None = None
        self._again_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def refresh(self, use_case: str) -> None:
        """Copy what is new; with the storage away the home shows what it has, and the log says so."""
        if self._settings.storage_url is None or self._again_at.get(use_case, 0.0) > self._clock():
            return
        with self._lock:
            if self._again_at.get(use_case, 0.0) > self._clock():  # another thread was first
                return
            wait = AGAIN_SECONDS
            try:
                self._copy(use_case)
            except StorageError as error:
                wait = PATIENCE_SECONDS
                log.warning("replays of other machines are not shown for now: %s", error)
            self._again_at[use_case] = self._clock() + wait

    def _copy(self, use_case: str) -> None:
        self._storage = self._storage or open_storage(self._settings)
        below = replay_folder(Path(), use_case).as_posix()
        wanted = re.compile(rf"{re.escape(below)}/[0-9a-f]{{16}}/{re.escape(DOCUMENT)}")
        for one in self._storage.list(below):
            target = self._settings.home / one.key
            if wanted.fullmatch(one.key) and one.size <= MOST_BYTES and _differs(target, one):
                try:
                    self._storage.fetch(one.key, target)
                except ObjectMissing:  # deleted since it was listed
                    continue
                os.utime(target, (one.changed.timestamp(), one.changed.timestamp()))


def _differs(file: Path, stored: StoredObject) -> bool:
    try:
        status = file.lstat()
    except FileNotFoundError:
        return True
    return status.st_size != stored.size or status.st_mtime < stored.changed.timestamp() - 1e-3
