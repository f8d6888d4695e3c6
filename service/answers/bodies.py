"""Bodies of JSON as objects, whole: for whoever does not decode them straight into what they should be."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import orjson

from configs.spelling.near_names import nearest
from features.files.readers.repeated_keys import describe_repeated, find_repeated
from features.records.error_messages import describe
from service.errors import Invalid, NotJson, RepeatedKey

MOST_KEYS = 100
"""Of a body, so many are compared with what may have been meant, so that thousands hold nobody up."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds; NaN and Infinity are let through, for the contract to name.

    Raises:
        NotJson: it holds no JSON.
        Invalid: it holds JSON that is no object.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            content = json.loads(body)
        except RecursionError as deep:
            raise NotJson("nested too deeply") from deep
        except ValueError:
            raise NotJson(str(error)) from error
    if not isinstance(content, dict):
        raise Invalid(f"the body: got {describe(content)}; allowed: a JSON object")
    return content


def ensure_no_key_twice(body: bytes) -> dict[str, Any]:
    """See to it that no object of a body has a key twice, of which the last would count; returns its content.

    What brings labels, or options of a run, is held to that. Predictions are not: to look for it takes as
    long as reading a record does.

    Raises:
        NotJson, Invalid: as `parse_object`.
        RepeatedKey: one has.
    """
    content = parse_object(body)
    if (place := find_repeated(body, content)) is not None:
        raise RepeatedKey(describe_repeated(place))
    return content


def listed(content: dict[str, Any], key: str, most: int) -> list[Any]:
    """The list under `key`, of 1 to `most` entries.

    Raises:
        Invalid: there is none, it is empty or too long, or something else is there.
    """
    allowed = f"a list of 1 to {most}"
    if key not in content:
        near = nearest(key, islice(content, MOST_KEYS))
        got = "" if near is None else f", got '{near}'"
        raise Invalid(f"field '{key}': missing{got}; allowed: {allowed}")
    value = content[key]
    if not isinstance(value, list):
        raise Invalid(f"field '{key}': got {describe(value)}; allowed: {allowed}")
    if not 0 < len(value) <= most:
        raise Invalid(f"field '{key}': got a list of {len(value)}; allowed: {allowed}")
    return value
