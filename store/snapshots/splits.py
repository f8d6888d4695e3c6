"""Which rows are learned from and which are held out to judge on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from configs.schema import HoldoutConfig

TRAIN, HOLDOUT, UNUSED = "train", "holdout", "unused"
Split = NDArray[np.object_]


def split_rows(
    config: HoldoutConfig,
    identities: NDArray[np.object_],
    seq: NDArray[np.int64],
    *,
    since_seq: int | None,
    learned: Collection[str],
) -> Split:
    """Say of n rows, oldest first, whether each is learned from, held out or unused.

    Args:
        config: how many rows to hold out, and by what.
        identities: what each row is known by.
        seq: order of arrival of each row.
        since_seq: the newest arrival that production's snapshot held; None: there was none.
        learned: identities of rows that production has learned from; they are never held out.

    Returns:
        `train`, `holdout` or `unused` for each row, shape (n,).
    """
    fresh = np.array([identity not in learned for identity in identities], dtype=np.bool_)
    came_since = fresh if since_seq is None else fresh & (seq > since_seq)
    if config.by == "hash":
        return _by_hash(config, identities, fresh, came_since)
    return _by_time(config, fresh, came_since)


def _by_time(config: HoldoutConfig, fresh: NDArray[np.bool_], came_since: NDArray[np.bool_]) -> Split:
    """The newest of the rows that came since, topped up with older ones that nobody has learned from.

    Never more than half of the rows that came since, or those would be judged on and not learned from.
    """
    split = np.full(len(fresh), TRAIN, dtype=object)
    newest_first = np.flatnonzero(came_since)[::-1]
    older_first = np.flatnonzero(fresh & ~came_since)[::-1]
    count = int(np.clip(round(config.fraction * len(newest_first)), config.min_rows, config.max_rows))
    count = min(count, len(fresh) // 2)
    of_new = min(count, len(newest_first) // 2)
    split[newest_first[:of_new]] = HOLDOUT
    split[older_first[: count - of_new]] = HOLDOUT
    return split


def _by_hash(
    config: HoldoutConfig,
    identities: NDArray[np.object_],
    fresh: NDArray[np.bool_],
    came_since: NDArray[np.bool_],
) -> Split:
    """A fixed share of all rows is kept from learning for good; those that came since are judged on.

    They are topped up with older ones to the least number of rows.
    """
    reserved = np.array(
        [hashed_share(str(identity)) < config.fraction for identity in identities], dtype=np.bool_
    )
    split = np.where(reserved, UNUSED, TRAIN).astype(object)
    newest_first = np.flatnonzero(reserved & came_since)[::-1][: config.max_rows]
    older_first = np.flatnonzero(reserved & fresh & ~came_since)[::-1]
    split[newest_first] = HOLDOUT
    split[older_first[: max(0, config.min_rows - len(newest_first))]] = HOLDOUT
    return split


def hashed_share(identity: str) -> float:
    """Place of an identity in 0..1, the same everywhere and always, and evenly spread."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
