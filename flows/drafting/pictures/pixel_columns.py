"""Pictures in a file: which of its columns are the pixels of one."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flows.drafting.columns import numbers_of
from flows.drafting.names import words
from flows.drafting.sample import Column

STEMS = frozenset({"image", "img", "pixel", "pixels", "px", "picture", "photo"})
LEAST_PIXELS = 16
_NUMBERED = re.compile(r"(.+)_(\d+)")


@dataclass(frozen=True)
class Picture:
    """A field of type image."""

    stem: str
    """Of the columns: `image` for `image_0` and so on."""
    columns: frozenset[str]
    side: int
    darkest: float
    brightest: float
    why: str


def find_picture(columns: Mapping[str, Column], files: dict[str, str]) -> Picture | None:
    """The one picture of a row, as columns `image_0`, `image_1` and so on hold it; None: there is none."""
    stems: dict[str, dict[int, str]] = defaultdict(dict)
    for name in columns:
        match = _NUMBERED.fullmatch(name)
        if match is not None and set(words(match[1])) & STEMS:
            stems[match[1]][int(match[2])] = name
    for stem, places in stems.items():
        count, side = len(places), math.isqrt(len(places))
        if count < LEAST_PIXELS or side * side != count or sorted(places) != list(range(count)):
            continue
        numbers = [one for name in places.values() for one in numbers_of(columns[name].values, files)]
        if any(one is None for one in numbers):
            continue
        known = [one for one in numbers if one is not None]
        low, high = min(known), max(known)
        if low < 0:
            continue
        brightest = next((top for top in (1.0, 16.0, 255.0) if high <= top), float(high))
        why = (
            f"{count:,} columns {stem}_0 to {stem}_{count - 1}, of {low:g} to {high:g}: {side}x{side} pixels"
        )
        return Picture(stem, frozenset(places.values()), side, 0.0, brightest, why)
    return None
