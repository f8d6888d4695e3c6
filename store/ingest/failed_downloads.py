"""Data sets that could not be downloaded: what starts by itself does not try again at once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

PUT_OFF = timedelta(hours=6)
"""How long a failed download is not tried again, unless a person asks for it."""


@dataclass(frozen=True)
class FailedDownload:
    """What a home knows of it."""

    dataset: str
    at: datetime
    reason: str

    @property
    def until(self) -> datetime:
        """When it is tried again."""
        return self.at + PUT_OFF

    @classmethod
    def read(cls, text: str) -> Self:
        """The inverse of `write`."""
        values = json.loads(text)
        return cls(str(values["dataset"]), datetime.fromisoformat(values["at"]), str(values["reason"]))

    def write(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self) | {"at": self.at.isoformat()})


def note_failed(home: Path, dataset: str, reason: str) -> None:
    """Write down that a data set could not be had now."""
    path = _file(home, dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FailedDownload(dataset, datetime.now(UTC), reason).write(), encoding="utf-8")


def forget_failed(home: Path, dataset: str) -> None:
    """It could be had."""
    _file(home, dataset).unlink(missing_ok=True)


def failed_lately(home: Path, dataset: str, now: datetime) -> FailedDownload | None:
    """The failure for which it is not tried again yet; None: it may be tried."""
    try:
        failed = FailedDownload.read(_file(home, dataset).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # a kill may have cut the file off
        return None
    return failed if failed.dataset == dataset and failed.at <= now < failed.until else None


def _file(home: Path, dataset: str) -> Path:
    return home / "cache" / "downloads" / f"{hashlib.sha256(dataset.encode()).hexdigest()[:16]}.json"
