"""A key that is there twice in one object is found, whatever the text looks like, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.files.readers.repeated_keys import _mark, _Repeating, find_repeated


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":1,"a" :"x:y"}', "a"),
        (b'{"a":1, "a"\n\t: 2}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"a":"x\\":","a":1}', "a"),
        (b'{"a":"{","b":[1,{"c":1,"c":2}]}', "b.1.c"),
        (b'{"items":[{"label":"x"},{"record":{"b":1,"b":2}}]}', "items.1.record.b"),
        (b'[{"a":NaN,"a":1}]', "0.a"),
        (b'{"' + b"k" * 500 + b'":1,"' + b"k" * 500 + b'":2}', "k" * 80),
    ],
)
def test_it_is_found_and_its_place_named(text: bytes, place: str) -> None:
    assert find_repeated(text, json.loads(text)) == place


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"b:c\\": {"}', b'{"a":"\\\\","b":"\\":"}', b'{"a":" :","b":":x"}',
        b"1", b'"a:b"', b"[[1,2],[3]]", b"{}",
        b'[{"a":1},{"a":2}]', b'{"a":{"a":{"a":1}}}',
    ],
)  # fmt: skip
def test_what_is_there_once_is_not(text: bytes) -> None:
    assert find_repeated(text, json.loads(text)) is None


def test_what_is_nested_too_deeply_for_its_place_to_be_found_is_found() -> None:
    text = b'{"a":' * 1000 + b'{"b":1,"b":2}' + b"}" * 1000
    assert find_repeated(text, orjson.loads(text)) is not None


NAMES = st.text(alphabet='ab:" \\{}[]', max_size=3)
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | NAMES,
    lambda inside: st.lists(inside, max_size=3) | st.lists(st.tuples(NAMES, inside), max_size=4),
    max_leaves=8,
)
Pairs = list[tuple[str, Any]]


def spell(value: Any, apart: str) -> str:
    """JSON of a value in which a list of pairs is an object, which may have a key twice."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        inside = ",".join(f"{json.dumps(key)}{apart}:{spell(part, apart)}" for key, part in value)
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{','.join(spell(part, apart) for part in value)}]"
    return json.dumps(value)


@settings(max_examples=400, deadline=None)
@given(VALUES, st.sampled_from(["", " ", "\n", "\t "]))
def test_it_is_found_exactly_where_python_s_own_parser_sees_it(value: Any, apart: str) -> None:
    text = spell(value, apart)
    seen: list[bool] = []

    def look(pairs: Pairs) -> dict[str, Any]:
        seen.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    read = json.loads(text, object_pairs_hook=look)
    assert (find_repeated(text.encode(), read) is not None) == any(seen)


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_an_object_of_thousands_of_keys_holds_nobody_up() -> None:
    names = [Counted(f"key{number}") for number in range(2000)]
    marked = _mark([(name, 1) for name in (*names, Counted("key1999"))])
    assert isinstance(marked, _Repeating)
    assert marked.key == "key1999"
    assert Counted.compared < 20 * len(names)
