"""What warm starts of a replay continue from: the versions that one loop made, as artifacts in a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from configs.schema import UseCase
from features.records.contract import take
from flows.replay.history import History, Places
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import PROBE_ROWS, write_artifact


@dataclass(frozen=True)
class Versions:
    """The versions of one loop, each named as its fit is."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where the version of a fit is."""
        return self.folder / key

    def has(self, key: str) -> bool:
        """Whether it is there: it appears whole or not at all."""
        return self.path(key).exists()

    def write(
        self, key: str, fitted: FittedModel, use_case: UseCase, history: History, asked: Places
    ) -> None:
        """Write one, as a retrain does.

        Args:
            asked: rows that it has not learned from; without any, the newest of the history do for its probe,
                as nobody asks it anything.

        Raises:
            ParityError: the exported model answers differently from the native one.
        """
        rows = asked[:PROBE_ROWS] if len(asked) else np.arange(len(history))[-PROBE_ROWS:]
        shutil.rmtree(self.path(key), ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_artifact(
            self.path(key),
            fitted,
            use_case,
            take(history.rows.columns, rows),
            lineage=Lineage(),
            created_at=datetime.now(UTC),
        )

    def keep_only(self, key: str) -> None:
        """Delete all but one."""
        for path in self.folder.glob("*"):
            if path.name != key:
                shutil.rmtree(path, ignore_errors=True)
