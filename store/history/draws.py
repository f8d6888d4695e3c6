"""Which records are held out is drawn with a secret, so that nothing that a caller sends can choose them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.feedback.rows import NO_KEY, FeedbackRows

Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """The secret of a database, and up to which arrival earlier releases drew without one."""

    secret: str
    since_seq: int = 0

    def shares(self, rows: FeedbackRows) -> Shares:
        """Place of each row in 0..1, evenly spread: by its group, else its own id, else its content.

        Of what is labelled twice or corrected, by whatever way, the place is the same.
        """
        keys = np.where(
            rows.groups != NO_KEY, rows.groups, np.where(rows.ids != NO_KEY, rows.ids, rows.contents)
        )
        return hashed_shares(
            identity if seq <= self.since_seq else f"{self.secret}:{key or identity}"
            for identity, key, seq in zip(rows.identities, keys.tolist(), rows.seq.tolist(), strict=True)
        )


def read_draw(conn: psycopg.Connection[Any]) -> Draw:
    """The draw of this database; its secret was made with its tables."""
    row = conn.execute("SELECT secret, since_seq FROM draw_secret").fetchone()
    assert row is not None
    return Draw(*row)


def hashed_shares(names: Iterable[str]) -> Shares:
    """Place of each name in 0..1, the same everywhere and always, and evenly spread.

    >>> hashed_shares(["ann", "bob"]).round(3).tolist()
    [0.552, 0.457]
    """
    hashed, size = hashlib.blake2b, 8
    digests = b"".join([hashed(name.encode(), digest_size=size).digest() for name in names])
    return np.frombuffer(digests, ">u8").astype(np.float64) / 2**64
