"""What lies in the inbox where nobody reads it: folders of no use case, and files beside the folders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path

from configs.errors import ConfigError
from configs.loading import load_use_cases
from configs.security.printable import one_line
from configs.settings import Settings
from configs.spelling.near_names import meant
from features.files.readers.byte_streams import printable_name
from flows.inbox_attempts import NOTE
from flows.inbox_files import DONE, REFUSED

LOOK_SECONDS = 60.0
log = logging.getLogger("prefect.worker.ratchet")


def find_strays(home: Path, use_cases: Collection[str]) -> list[str]:
    """A sentence for each folder of no use case in which something waits, and for each file beside them."""
    inbox = home / "inbox"
    if not inbox.is_dir():
        return []
    try:
        paths = sorted(inbox.iterdir())
    except OSError as error:
        return [f"inbox/ cannot be looked through: {error.strerror or error}"]
    return [
        _sentence(path, use_cases)
        for path in paths
        if path.name not in use_cases and not path.name.startswith(".") and _waits(path)
    ]


def strays_of(settings: Settings) -> list[str]:
    """The same for all use cases that are configured, whether they are served here or not.

    Raises:
        ConfigError: a configuration cannot be read.
    """
    return find_strays(settings.home, load_use_cases(settings.config_dirs))


async def tell_strays(settings: Settings) -> None:
    """Warn of each once, as soon as it lies there."""
    told: set[str] = set()
    while True:
        try:
            strays = await asyncio.to_thread(strays_of, settings)
        except ConfigError as error:  # edited meanwhile; what is served goes on
            strays = [f"the inbox is not looked through, as the configuration cannot be read: {error}"]
        for sentence in strays:
            if sentence not in told:
                log.warning("%s", sentence)
        told.update(strays)
        await asyncio.sleep(LOOK_SECONDS)


def _waits(path: Path) -> bool:
    """Whether there is anything but what was read, or refused, when it was an inbox."""
    if not path.is_dir():
        return True
    try:
        return any(one.name not in (DONE, REFUSED, NOTE) for one in path.iterdir())
    except OSError:  # not ours to look into; whatever is there is not read
        return True


def _sentence(path: Path, use_cases: Collection[str]) -> str:
    name, allowed = one_line(printable_name(path)), ", ".join(sorted(use_cases))
    if not path.is_dir():
        return f"inbox/{name} is not read: it lies in no folder of a use case; allowed folders: {allowed}"
    near = meant(path.name, use_cases)
    return f"inbox/{name}/ is not read: no use case has this name{near}; allowed: {allowed}"
