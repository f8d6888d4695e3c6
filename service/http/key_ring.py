"""The keys that a worker accepts, read again when their file changes."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.api_keys import ApiKey, KeyFileError, KeyScope, read_keys, token_hash
from models.passing_faults import is_passing

LOOK_SECONDS = 1.0
"""How long a change of the file may go unnoticed."""
MOST_REMEMBERED = 1024
LONGEST_TOKEN = 512

log = logging.getLogger("ratchet.service")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request."""

    name: str
    scopes: frozenset[KeyScope]

    def may(self, scope: KeyScope) -> bool:
        """Whether its key is for this; every key may read, and `admin` may do everything."""
        return scope in self.scopes or scope == "read" or "admin" in self.scopes


class KeyRing:
    """Says whose key a token is.

    Args:
        path: the file of keys.
        demanded: without any key nobody gets in; else everybody does, until there are keys. Once there were,
            only a restart opens the door again: a file that vanishes must not do so.
    """

    def __init__(self, path: Path, *, demanded: bool) -> None:
        self._path = path
        self.closed = demanded
        """Whether a key is needed."""
        self.version = 0
        """Another number once what it says has changed."""
        self._keys: Sequence[ApiKey] = ()
        self._stamp: object = None
        self._remembered: dict[bytes, Caller] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keys", daemon=True)

    def start(self) -> None:
        """Read the file, and go on looking at it."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def find(self, token: bytes) -> Caller | None:
        """Whose key a token is; None: nobody's.

        Tokens that were found are remembered, and looking one up again tells a stranger nothing: the
        table compares whole tokens only where a keyed 64-bit hash of them agrees.
        """
        caller = self._remembered.get(token)
        return caller if caller is not None else self._find(token)

    def look(self) -> None:
        """Read the file if it has changed; one that cannot be read leaves the keys as they are."""
        try:
            stat = self._path.stat()
            stamp: object = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError as error:
            stamp = type(error)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
            self.version += 1

    def _read(self) -> None:
        try:
            keys = read_keys(self._path)
        except KeyFileError as error:
            log.exception("the keys stay as they were")
            self.closed = True  # the file is there, so there are to be keys
            if is_passing(error):  # what it says is not known yet, and a key may have been removed
                self._stamp = None
            return
        if keys or self._keys:
            log.info("API keys: %s", ", ".join(key.name for key in keys) or "none")
        self._keys = keys
        self._remembered = {}
        self.closed = self.closed or bool(keys)

    def _find(self, token: bytes) -> Caller | None:
        remembered, keys = self._remembered, self._keys
        if len(token) > LONGEST_TOKEN:
            return None
        digest = token_hash(token.decode("latin-1"))
        match: ApiKey | None = None
        for key in keys:  # all of them, and each in constant time
            if hmac.compare_digest(key.sha256, digest):
                match = key
        if match is None:
            return None
        caller = Caller(match.name, frozenset(match.scopes))
        if len(remembered) < MOST_REMEMBERED:
            remembered[token] = caller
        return caller

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # no memory, say
                self._stamp = None
                log.exception("the keys could not be looked at")
