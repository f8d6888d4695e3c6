"""What is left of the columns, as fields of the use case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.drafting import keys, names
from flows.drafting.pictures.linked import PictureFiles
from flows.drafting.pictures.pixel_columns import Picture
from flows.drafting.sorting.columns_at_hand import Sorting


@dataclass(frozen=True)
class DraftField:
    """A field, and what it goes by."""

    column: str
    config: dict[str, Any]
    why: str


def make_fields(sorting: Sorting, picture: Picture | PictureFiles | None) -> list[DraftField]:
    """The picture alone where there is one, else every column that is left."""
    return _fields_of_columns(sorting) if picture is None else [_picture_field(picture)]


def _fields_of_columns(sorting: Sorting) -> list[DraftField]:
    named = names.field_names(sorting.rest)
    made = []
    for column in sorting.rest:
        found = sorting.guesses[column]
        config = {"name": named[column], "type": found.kind, **found.options}
        if named[column] != column:
            config = {
                "name": named[column],
                "column": column,
                **{k: v for k, v in config.items() if k != "name"},
            }
        repeats = keys.group_doubt(sorting.facts[column], found)
        if repeats is not None:
            sorting.warnings.append(f"column '{column}': {repeats}")
        if found.doubt is not None:
            sorting.warnings.append(f"column '{column}': {found.doubt}")
        made.append(DraftField(column, config, found.why))
    return made


def _picture_field(picture: Picture | PictureFiles) -> DraftField:
    source = picture.stem if isinstance(picture, Picture) else picture.column
    name = names.field_names([source])[source]
    config: dict[str, Any] = {"name": name, "type": "image"}
    if isinstance(picture, Picture):
        config["shape"] = [picture.side, picture.side]
        config |= {"range": [picture.darkest, picture.brightest]} if picture.brightest != 255 else {}
    else:
        config |= {"shape": list(picture.shape), "resize": picture.resize}
    config |= {"column": source} if name != source else {}
    return DraftField(source, config, picture.why)
