"""What is to be replayed, and where what has been done of it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.schema import UseCase
from flows.replay.history import History, Periods
from store.replays import FITS, replay_folder


@dataclass(frozen=True)
class Plan:
    """What is to be replayed."""

    use_case: UseCase
    history: History
    periods: Periods
    folder: Path
    """Where what has been done is kept, so that it need not be done again."""
    delay: int = 0
    variants: Mapping[str, UseCase] | None = None
    """More policies by name: the same use case with other settings of training and gate."""
    jobs: int = 0
    """Processes; 0: one a core."""
    home: Path | None = None
    """Where vectors of texts are kept, for retrains too; None: each fit computes its own."""

    @property
    def loops(self) -> dict[str, UseCase]:
        """Configurations of the loop that are played, by name of the policy."""
        return {"default": self.use_case, **(self.variants or {})}

    @property
    def fits(self) -> Path:
        """Where fits are kept."""
        return self.folder / FITS

    @property
    def versions(self) -> Path:
        """Where versions are that warm starts continue from, by loop."""
        return self.folder / "versions"


def plan_folder(home: Path, use_case: UseCase, history: History, periods: Periods, delay: int) -> Path:
    """Where a replay of this history, cut so, keeps what it has done."""
    what = json.dumps([history.digest, periods.bounds, periods.first, delay])
    read_by = use_case.model_dump(mode="json", include={"record", "target", "kind"})
    name = hashlib.sha256(f"{what}{json.dumps(read_by, sort_keys=True)}".encode()).hexdigest()[:16]
    return replay_folder(home, use_case.name) / name
