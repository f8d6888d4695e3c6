"""A column of picture files: their paths, URLs, base64 or bytes; what some are, and what suits them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from configs.schema import FieldConfig
from features.files.linked_pictures import LinkedPictures
from features.records.image_field import ImageField, is_picture
from features.records.pictures.headers import Header, read_header
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import Column, Sample

MOSTLY = 0.8
"""Share of a column's values that look like pictures, from which it is one of pictures."""
MOST_LOOKED_AT = 300
"""Pictures that are decoded, drawn from all over the sample."""
SMALL, LARGE = 40, 64
"""Sides in pixels: smaller pictures keep theirs, larger ones are made `LARGE`."""
ALIKE = 1.05
"""Two proportions that differ less are the same."""
GREY_SHARE, GREY_STEP = 0.98, 4
"""Share of pictures whose channels differ by no more than so many levels, from which they are grey."""
ENDINGS = frozenset({"png", "jpg", "jpeg", "jpe", "jfif"})
OTHERS = frozenset({"gif", "webp", "bmp", "tif", "tiff", "heic", "avif", "svg"})
"""Pictures that are not read: better told than taken for words."""
Place = Literal["path", "url", "base64", "bytes"]
PLACES: Mapping[Place, str] = {
    "path": "paths", "url": "URLs", "base64": "pictures in base64", "bytes": "pictures as bytes",
}  # fmt: skip
_BASE64 = re.compile(r"data:image/\w+;base64,|iVBORw0KGgo|/9j/")


@dataclass(frozen=True)
class PictureFiles:
    """A field of type image, whose pictures a column holds or names."""

    column: str
    shape: tuple[int, ...]
    resize: Literal["fit", "crop"]
    small: bool
    """Whether pictures are so small that they keep their size."""
    why: str
    warnings: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        """Those that it takes."""
        return frozenset({self.column})

    @property
    def colour(self) -> bool:
        """Whether it has red, green and blue."""
        return len(self.shape) == 3


@dataclass(frozen=True)
class _Seen:
    """What some pictures are."""

    headers: list[Header]
    grey: int
    """Of these, how many have no colour."""
    broken: Counter[str]
    """Reasons of those that cannot be read."""


def find_picture_files(columns: Mapping[str, Column], sample: Sample) -> PictureFiles | None:
    """The column of a file that holds pictures or names them; None: there is none.

    Args:
        columns: those that may be it.
        sample: of the file, beside which pictures lie that are named by their paths.

    Raises:
        CannotDraft: there are several such columns, or one whose pictures cannot be read.
    """
    found = {name: place for name, column in columns.items() if (place := place_of(column)) is not None}
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(f"'{name}'" for name in found)
        raise CannotDraft(
            f"{names} are columns of pictures; allowed: one picture a record (`--leave-out` the others)"
        )
    ((name, place),) = found.items()
    if place == "url":
        raise CannotDraft(
            f"column '{name}' holds URLs of pictures, which are off: they are fetched only from origins "
            "that a configuration allows (`files.picture_hosts`). Download them beside the file and name "
            "their paths, or write the configuration yourself (docs/pictures.md); `--leave-out` leaves the "
            "column out"
        )
    return _described(columns[name], place, sample.path)


def place_of(column: Column) -> Place | None:
    """Where the pictures of a column are, if it is one of pictures."""
    present = [value for value in column.values if value is not None and value != ""]
    votes = Counter(place for value in present if (place := _place(value)) is not None)
    if not votes or votes.total() < MOSTLY * len(present):
        return None
    return votes.most_common(1)[0][0]


def _place(value: Any) -> Place | None:
    if isinstance(value, dict):
        return _place_in(value)
    if isinstance(value, bytes):
        return "bytes" if is_picture(value) or _is_other_picture(value) else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _BASE64.match(text):
        return "base64"
    ending = re.split(r"[?#]", text, maxsplit=1)[0].rpartition(".")[2].lower()
    if ending not in ENDINGS | OTHERS or "\n" in text:
        return None
    return "url" if "://" in text else "path"


def _place_in(value: dict[str, Any]) -> Place | None:
    """Of an object of bytes and path, as data sets of pictures have."""
    if not value or not value.keys() <= {"bytes", "path"}:
        return None
    return "bytes" if isinstance(value.get("bytes"), bytes) else _place(value.get("path"))


def _is_other_picture(data: bytes) -> bool:
    try:
        read_header(data)
    except ValueError as error:
        return "not a PNG or JPEG" in str(error) and not str(error)[:1].isdigit()
    return True


def _described(column: Column, place: Place, file: Path) -> PictureFiles:
    values = all_values = [value for value in column.values if value is not None and value != ""]
    if len(values) > MOST_LOOKED_AT:
        drawn = np.random.default_rng(7).choice(len(values), MOST_LOOKED_AT, replace=False)
        values = [values[at] for at in np.sort(drawn).tolist()]
    with closing(LinkedPictures(file)) as pictures:
        seen = _look(values, pictures)
    broken = seen.broken.total()
    told = "; ".join(f"{count:,} {reason}" for reason, count in seen.broken.most_common(4))
    if not seen.headers:
        beside = f" Paths are looked for below {file.absolute().parent}" if place == "path" else ""
        raise CannotDraft(
            f"column '{column.name}' holds {PLACES[place]}, and none of {len(values):,} pictures that were "
            f"looked at can be read: {told}.{beside}"
        )
    warnings = _missing(column.name, all_values, file) if place == "path" else []
    if broken:
        warnings.append(
            f"column '{column.name}': {broken:,} of {len(values):,} pictures that were looked at cannot be "
            f"read, and their rows go to quarantine: {told}"
        )
    gaps = column.gaps
    if gaps:
        warnings.append(f"column '{column.name}': {gaps:,} rows have no picture and go to quarantine")
    return _chosen(column.name, place, seen, tuple(warnings))


def _missing(name: str, values: Sequence[Any], file: Path) -> list[str]:
    """How many paths of the sample lead to no file."""
    folder = file.absolute().parent
    paths = [value["path"] if isinstance(value, dict) else value for value in values]
    gone = [path for path in paths if isinstance(path, str) and not (folder / path.strip()).is_file()]
    if not gone:
        return []
    return [
        f"column '{name}': {len(gone):,} of {len(paths):,} paths lead to no file below {folder}, such as "
        f"'{gone[0][:200]}': their rows go to quarantine"
    ]


def _look(values: Sequence[Any], fetch: Callable[[str], bytes]) -> _Seen:
    """Decode each picture in colour, as a field would."""
    probe = ImageField(FieldConfig(name="picture", type="image", shape=(32, 32, 3), resize="fit"))
    headers: list[Header] = []
    broken: Counter[str] = Counter()
    grey = 0

    def kept(data: bytes) -> bytes:
        headers.append(read_header(data))
        return data

    for value in values:
        before = len(headers)
        try:
            data = kept(_bytes(value, fetch, probe))
        except ValueError as error:
            broken[_reason(str(error))] += 1
            continue
        levels, bad = probe.check_file([data])
        if bad:
            del headers[before:]
            broken[_reason(bad[0])] += 1
            continue
        grey += bool(np.ptp(levels[0].astype(np.int16), axis=2).max() <= GREY_STEP)
    return _Seen(headers, grey, broken)


def _bytes(value: Any, fetch: Callable[[str], bytes], probe: ImageField) -> bytes:
    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} that is no picture")
    return probe.decode_text(value.strip()) if _BASE64.match(value.strip()) else fetch(value.strip())


def _reason(message: str) -> str:
    """What is wrong, without the value that has it."""
    words = {
        "no such file": "are missing", "outside": "lie outside the folder of the file",
        "cut short": "are cut short", "truncated": "are cut short",
    }  # fmt: skip
    for mark, told in words.items():
        if mark in message:
            return told
    kind = re.search(r"\ban? (GIF|WebP|BMP|TIFF|HEIC|HEIF|AVIF|SVG|PDF|icon|JPEG 2000|JPEG XL)\b", message)
    return f"are {kind[1]}, which is not read" if kind else "are damaged, or no PNG or JPEG"


def _chosen(name: str, place: Place, seen: _Seen, warnings: tuple[str, ...]) -> PictureFiles:
    heights = [header.height for header in seen.headers]
    widths = [header.width for header in seen.headers]
    count = len(heights)
    ratios = [width / height for height, width in zip(heights, widths, strict=True)]
    same_form = max(ratios) / min(ratios) <= ALIKE
    same_size = len(set(zip(heights, widths, strict=True))) == 1
    grey = seen.grey >= GREY_SHARE * count
    height, width = round(median(heights)), round(median(widths))
    small = max(height, width) <= SMALL
    shape = (
        (height, width)
        if small and same_form
        else _fitting(median(ratios) if same_form else 1.0, max(height, width) if small else LARGE)
    )
    size = f"{height}x{width} each" if same_size else f"{height}x{width} in the middle of all"
    kinds = Counter(header.kind for header in seen.headers)
    files = " and ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    why = f"{PLACES[place]}; of {count:,} looked at {files}, {size}, {'grey' if grey else 'in colour'}"
    why += ", " + ("of one form" if same_form else "of several forms: each whole, on a ground")
    return PictureFiles(
        name, shape if grey else (*shape, 3), "crop" if same_form else "fit", small, why, warnings
    )


def _fitting(ratio: float, side: int) -> tuple[int, int]:
    """Height and width of a proportion (width by height) with a longer side."""
    long, short = side, max(8, round(side / max(ratio, 1 / ratio)))
    return (short, long) if ratio >= 1 else (long, short)
