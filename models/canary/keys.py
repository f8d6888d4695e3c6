"""Whose requests a canary answers: a share of the keys, always the same ones while it is tried.

A key is hashed together with the version, so that each canary has other keys, and every server the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

HASH_BYTES = 8


def of_canary(keys: Sequence[str], use_case: str, version: int, share: float) -> NDArray[np.bool_]:
    """Which of n keys are the canary's, shape (n,).

    >>> of_canary(["ann", "bob", "ann"], "mails", 7, 1.0).tolist()
    [True, True, True]
    """
    salt = f"{use_case}\0{version}\0".encode()
    below = round(share * 2 ** (8 * HASH_BYTES))
    return np.array([_number(salt + key.encode("utf-8", "surrogatepass")) < below for key in keys], np.bool_)


def _number(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=HASH_BYTES).digest(), "big")
