"""Sizes of memory as people write them: `500MB`, `4GB`."""

from __future__ import annotations

import re

PATTERN = r"^[1-9][0-9]{0,5}(\.[0-9]{1,3})?(MB|GB|TB)$"
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def read_size(text: str) -> int:
    """Bytes that a text such as `4GB` says.

    Raises:
        ValueError: it says none.

    >>> read_size("1.5GB")
    1500000000
    """
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r}; allowed: a size such as 500MB, 4GB or 1.5TB")
    return round(float(text[:-2]) * _UNITS[text[-2:]])
