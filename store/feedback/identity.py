"""Identities of labelled rows, by which a row that comes again is recognised.

A row is known by the prediction it answers (`p:`), else by its own id (`i:`), else by its
content (`h:`): the hash of its canonical JSON and time, and how many equal rows came before it
in the same file or request. So a file read twice adds nothing, and a corrected file corrects.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
_HASH_BYTES = 16


class KeyCounts:
    """How often each 64-bit key has occurred so far."""

    def __init__(self) -> None:
        self._counts = _Table()

    def count_earlier(self, keys: Keys) -> NDArray[np.int64]:
        """For each key, how many equal ones occurred before it: in earlier calls, and earlier in `keys`."""
        order, starts, lengths = _groups(keys)
        unique = keys[order][starts]
        before = self._counts.get(unique, np.zeros(len(unique), dtype=np.int64))
        within = np.arange(len(keys)) - np.repeat(starts, lengths)
        numbers = np.empty(len(keys), dtype=np.int64)
        numbers[order] = within + np.repeat(before, lengths)
        self._counts.put(unique, before + lengths)
        return numbers


class FirstContents:
    """The content of the first row of each key."""

    def __init__(self) -> None:
        self._first = _Table()

    def contradict(self, keys: Keys, contents: Keys) -> NDArray[np.bool_]:
        """Which rows have a key that came before, in earlier calls or in this one, with other content."""
        order, starts, lengths = _groups(keys)
        unique = keys[order][starts]
        values = contents.view(np.int64)[order]
        first = self._first.get(unique, values[starts])
        self._first.put(unique, first)
        differs = np.empty(len(keys), dtype=bool)
        differs[order] = values != np.repeat(first, lengths)
        return differs


class _Table:
    """Keys and a number for each, as sorted arrays: 16 bytes a key, so that long files fit in memory."""

    def __init__(self) -> None:
        self._keys: Keys = np.array([], dtype=np.uint64)
        self._values = np.array([], dtype=np.int64)

    def get(self, keys: Keys, default: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(self._keys) == 0:
            return default
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._values[places], default)

    def put(self, keys: Keys, values: NDArray[np.int64]) -> None:
        """Set the numbers of `keys`, which differ from each other."""
        keep = ~np.isin(self._keys, keys, assume_unique=True)
        joined = np.concatenate([self._keys[keep], keys])
        order = np.argsort(joined, kind="stable")
        self._keys = joined[order]
        self._values = np.concatenate([self._values[keep], values])[order]


def _groups(keys: Keys) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """A stable order that brings equal keys together, where each group starts in it, and its length."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    changes = np.ones(len(ranked), dtype=bool)
    changes[1:] = ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(changes)
    return order, starts, np.diff(np.append(starts, len(ranked)))


def identities(
    documents: Sequence[str],
    *,
    prediction_ids: Sequence[str | None] | None = None,
    ids: Sequence[str | None] | None = None,
    times: Sequence[str | None] | None = None,
    sources: Sequence[str] | None = None,
    key_counts: KeyCounts | None = None,
) -> list[str]:
    """Identity of each row.

    Args:
        documents: canonical JSON of the records.
        prediction_ids: the prediction that a row answers, where it answers one.
        ids: ids of the rows themselves, where they have any.
        times: when rows happened, as text; equal records of different times are different rows.
        sources: who says so of each row, where there are several: two may speak of the same rows.
        key_counts: of earlier rows of the same file; a request begins without.
    """
    texts = [
        document if time is None else f"{document}@{time}"
        for document, time in zip(
            documents, repeat(None) if times is None else times, strict=times is not None
        )
    ]
    digests = digest(texts)
    counted = digests
    if sources is not None:
        counted = digest([f"{text} {source}" for text, source in zip(texts, sources, strict=True)])
    numbers = (key_counts or KeyCounts()).count_earlier(keys_of(counted)).tolist()
    text = digests.hex()
    width = 2 * _HASH_BYTES
    names = [f"h:{text[row * width : (row + 1) * width]}#{number}" for row, number in enumerate(numbers)]
    if ids is not None:
        names = [name if own_id is None else f"i:{own_id}" for own_id, name in zip(ids, names, strict=True)]
    if prediction_ids is not None:
        names = [
            name if own_id is None else f"p:{own_id}"
            for own_id, name in zip(prediction_ids, names, strict=True)
        ]
    return names


def content_names(documents: Sequence[str]) -> list[str]:
    """What rows of these records are known by without an id and a time, up to their number."""
    text, width = digest(documents).hex(), 2 * _HASH_BYTES
    return [f"h:{text[row * width : (row + 1) * width]}" for row in range(len(documents))]


def digest(texts: Sequence[str]) -> bytes:
    """16 bytes a text, one after the other."""
    return b"".join([blake2b(text.encode(), digest_size=_HASH_BYTES).digest() for text in texts])


def keys_of(digests: bytes) -> Keys:
    """The first half of each digest, as a number."""
    return np.frombuffer(digests, dtype=np.uint64)[::2]
