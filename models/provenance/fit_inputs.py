"""What a fit was given besides the snapshot and the configuration; a file of the version, `fit.json`."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.provenance.surroundings import Surroundings

FIT = "fit.json"
"""A file of its own: an older Ratchet refuses a key of the manifest that it does not know, not a file."""


class FitInputs(BaseModel):
    """With the snapshot, the configuration and the parent, all that decides what a fit comes to.

    Keys that a later Ratchet adds are passed over; what is None was not written down.
    """

    model_config = ConfigDict(frozen=True)

    rows: int | None = None
    """Rows that the fit was handed; a window and outliers are taken off them in it."""
    rows_digest: str | None = None
    """`digest_rows` of them."""
    sample_count: int | None = None
    """How many rows the run was asked to draw; None: all."""
    period_ends: tuple[int, ...] = ()
    """Arrivals of the last rows of the newest earlier periods, rising, by which members' windows are cut."""
    in_batches: bool | None = None
    """Whether rows came in batches, by which networks learn otherwise; None: all at once."""
    weights: dict[str, float] | None = None
    """What members of a blend were to count for; None: it is no blend."""
    parent_digest: str | None = None
    """Digest of the version that a warm start continued from."""
    surroundings: Surroundings = Surroundings()
    """By what it was fitted."""


def digest_rows(seq: NDArray[np.int64]) -> str:
    """SHA-256 in hex of the arrivals of rows, in their order: the same rows in another order differ."""
    return hashlib.sha256(np.ascontiguousarray(seq, dtype="<i8").tobytes()).hexdigest()
