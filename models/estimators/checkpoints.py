"""Checkpoints: the state of a fit after its last whole epoch.

One file, written beside itself and renamed, so that a kill at any moment leaves the last one. It says
which rows, parameters and seed it belongs to; a fit of anything else begins from nothing, and so does one
of fewer epochs.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Features, Targets

FILE = "checkpoint.npz"
_META = "meta"
NOT_PART_OF_A_FIT = ("epochs", "iterations")
"""Parameters that may differ between a fit and a longer one that goes on with it."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What a fit needs to go on."""

    epoch: int
    """The last whole epoch, from 1."""
    arrays: Arrays


class Checkpoints:
    """The checkpoint of one fit in a folder of its own."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._path = folder / FILE
        self.fingerprint = fingerprint

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the previous checkpoint."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        meta = json.dumps({"epoch": checkpoint.epoch, "fingerprint": self.fingerprint})
        draft = self._path.with_suffix(".draft.npz")
        np.savez(draft, **{_META: np.array(meta)}, **checkpoint.arrays)  # type: ignore[arg-type]
        draft.replace(self._path)

    def load(self, epochs: int) -> Checkpoint | None:
        """The one of this very fit; None when there is none, it belongs to another, or has gone beyond.

        Args:
            epochs: of the fit that is to go on. What has learned for longer is not what is asked for.
        """
        saved = read_checkpoint(self._path)
        if saved is None or saved[0] != self.fingerprint or saved[1].epoch > epochs:
            return None
        return saved[1]

    def clear(self) -> None:
        """Delete the checkpoint: the next fit begins from nothing."""
        self._path.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> tuple[str, Checkpoint] | None:
    """Fingerprint of the fit, and its checkpoint; None when the file is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(str(arrays.pop(_META)))
        return meta["fingerprint"], Checkpoint(meta["epoch"], arrays)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def open_checkpoints(
    folder: Path,
    estimator: str,
    params: Mapping[str, Any],
    seed: int,
    x: Features,
    y: Targets,
    *,
    scheduled: bool = False,
) -> Checkpoints:
    """The checkpoint of the fit of these rows, with this seed and these parameters.

    Args:
        scheduled: how far a step goes depends on how many epochs there are: a fit of another number of them
            does not go on from it.
    """
    digest = hashlib.sha256()
    left_out = () if scheduled else NOT_PART_OF_A_FIT
    fit_params = {name: value for name, value in params.items() if name not in left_out}
    digest.update(json.dumps([estimator, fit_params, seed, x.shape, y.shape], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(x).data)
    digest.update(np.ascontiguousarray(y).data)
    return Checkpoints(folder, digest.hexdigest())
