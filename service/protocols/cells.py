"""Values of data frames and CSV, read as values of the same columns in a file are.

Frames know less of types than JSON does: whole numbers with gaps arrive as fractions, missing
values as NaN, and everything in CSV as text.
"""

from __future__ import annotations

import math
import re
from typing import Any

import orjson

from configs.schema import FieldConfig

_WHOLE = re.compile(r"[ \t]*[+-]?\d{1,15}[ \t]*", re.ASCII)
_NUMBER = re.compile(r"[ \t]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t]*", re.ASCII)
_TRUE, _FALSE = ("true", "1", "yes", "1.0"), ("false", "0", "no", "0.0")
_BOOLEANS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)


def read_cell(field: FieldConfig, value: Any, markers: tuple[str, ...]) -> Any:
    """A value as records have it; what cannot be read so is left for the contract to refuse.

    Args:
        markers: texts that mean "no value", for all types but text.
    """
    if type(value) is str:
        return _read_text(field, value, markers)
    if type(value) is float and math.isnan(value):
        return None
    if value is None or type(value) not in (bool, int, float):
        return value
    if field.type in ("category", "text"):
        return _as_text(value)
    if field.type == "boolean" and value in (0, 1):
        return bool(value)
    return value


def _read_text(field: FieldConfig, text: str, markers: tuple[str, ...]) -> Any:
    if field.type == "text":
        return text
    if field.type == "image":
        return _read_pixels(text)
    if text in markers:
        return None
    if field.type in ("number", "integer"):
        if _WHOLE.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text
    if field.type == "boolean":
        return _BOOLEANS.get(text.strip(" \t").lower(), text)
    return text.strip(" \t") if field.type == "datetime" else text


def _read_pixels(text: str) -> Any:
    """A PNG stays text; an array that was written as text becomes one again."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _as_text(value: bool | float) -> str:
    """As files have it: pandas makes fractions of whole numbers that may be missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
