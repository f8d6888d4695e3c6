"""YAML that people give: aliases count as if written out, and what passes a bound is refused by line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.api_keys import read_keys
from configs.errors import ConfigError
from configs.loading import MOST_PROBLEMS, load_use_case, load_use_cases
from configs.taxonomy import read_taxonomy
from configs.yaml_files import MAX_BYTES, MAX_DEPTH, DocumentError, read_yaml

Read = Callable[[Path], Any]

LEVELS = 40
READERS: dict[str, Read] = {"use case": load_use_case, "keys": read_keys, "taxonomy": read_taxonomy}
"""Every door through which a YAML file comes in."""


def lists(levels: int) -> str:
    """Nine times nine times nine...: written out, more values than there are atoms in the world."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(lines) + f"\nname: bomb\ntitle: *a{levels - 1}\nkeys: *a{levels - 1}\n"


def merges(levels: int) -> str:
    """The same with mappings that take in others."""
    lines = ["m0: &m0 {x: 1}"]
    lines += [
        f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 9)}]}}" for level in range(1, levels)
    ]
    return "\n".join(lines) + "\n"


def texts() -> str:
    """One long text, named many times."""
    return f"a: &a {'x' * 500_000}\nb: [*a, *a, *a]\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_it(text: str) -> Path:
        path = tmp_path / "bomb.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_it


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@pytest.mark.parametrize(
    ("text", "line"),
    [(lists(LEVELS), 6), (merges(LEVELS), 6), (texts(), 2)],
    ids=["lists", "merges", "texts"],
)
def test_a_bomb_is_refused_at_the_line_where_it_grows_too_large(
    write: Callable[[str], Path], read: Read, text: str, line: int
) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: line {line}, column ")
    assert "allowed, with each alias written out: 100,000 values and 1,000,000 characters" in str(
        caught.value
    )


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "], ids=["list", "mapping", "block", "key"])
def test_what_is_nested_too_deeply_is_refused(write: Callable[[str], Path], read: Read, opening: str) -> None:
    path = write(opening * 20_000)
    with pytest.raises(ConfigError, match=rf"line 1, column \d+: .*allowed: a depth of {MAX_DEPTH}"):
        read(path)


def test_the_deepest_allowed_is_read(write: Callable[[str], Path]) -> None:
    value = read_yaml(write("[" * MAX_DEPTH + "]" * MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title: a\ngate: {x: 1}\ntitle: b\n", "line 3, column 1: key 'title' is there already, in line 1"),
        ("gate: {x: 1,\n x: 2}", "line 2, column 2: key 'x' is there already, in line 1; allowed: once"),
        ("a: &a [1, *a]", "line 1, column 11: *a is part of what &a holds"),
        ("a: &a {b: {c: *a}}", "line 1, column 15: *a is part of what &a holds"),
        ("a: 1" + ":1" * 100_000, "line 1, column 4: a number of 200001 characters; allowed: 100"),
        ("a: 2026-02-30", "line 1, column 4: '2026-02-30' is no timestamp"),
        ("a: !!int ''", "line 1, column 4: '' is no int"),
        ("a: !!python/object/apply:os.getcwd []", "line 1, column 4: not valid YAML: could not determine"),
        ("name: [", "line 2, column 1: not valid YAML: while parsing a flow node did not find"),
        ("a: " + "x" * MAX_BYTES, "is longer than 1,000,000 bytes, which are allowed"),
        ("a: !%ED%A0%80 x", "not valid YAML: 'utf-8' codec can't decode byte 0xed"),
        ("!<%ED%BF%BF> a", "not valid YAML: 'utf-8' codec can't decode byte 0xed"),
        ("a: \x00", "not valid YAML: unacceptable character #x0000"),
        (
            "a:\n\tb: 1",
            "line 2, column 1: not valid YAML: while scanning for the next token found character that cannot "
            "start any token; a tab is there, and YAML indents by spaces",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_its_place(
    write: Callable[[str], Path], read: Read, text: str, reason: str
) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_long_tags_and_names_do_not_make_long_messages(write: Callable[[str], Path]) -> None:
    for text in (
        "a: !" + "x" * 100_000 + " 1",
        "a: *" + "x" * 100_000,
        "x" * 1000 + ": 1\n" + "x" * 1000 + ": 2",
    ):
        path = write(text)
        with pytest.raises(DocumentError) as caught:
            read_yaml(path)
        assert len(caught.value.reason) < 500


def test_aliases_and_merges_are_at_hand(write: Callable[[str], Path]) -> None:
    text = "base: &base {epochs: 3, rate: 0.1}\none: {<<: *base, rate: 0.2}\ntwo: *base\n"
    base = {"epochs": 3, "rate": 0.1}
    assert read_yaml(write(text)) == {"base": base, "one": {"epochs": 3, "rate": 0.2}, "two": base}


def test_what_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    with pytest.raises(ConfigError, match=r"bomb\.yaml: no such file"):
        load_use_case(path)
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(ConfigError, match=r"bomb\.yaml: cannot be read: 'utf-8' codec"):
        load_use_case(path)


def test_many_problems_do_not_make_a_long_message(write: Callable[[str], Path]) -> None:
    # Five keys are required and missing.
    unknown = "".join(f"{'k' * 500}{number}: 1\n" for number in range(1000))
    with pytest.raises(ConfigError) as caught:
        load_use_case(write(f"name: bomb\n{unknown}"))
    message_lines = str(caught.value).splitlines()
    assert len(message_lines) == MOST_PROBLEMS + 1
    assert message_lines[-1].endswith(f": and {1005 - MOST_PROBLEMS} problems more")
    assert all(len(line) < 300 + len(str(write(""))) for line in message_lines)


def test_every_shipped_file_is_read(configs: Path) -> None:
    assert set(load_use_cases([configs])) == {"digits", "intents", "papers", "plans", "spam_accounts"}
    assert read_taxonomy(configs / "data" / "intents_taxonomy.yaml").keywords


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    with pytest.raises(DocumentError, match="is no file"):
        read_yaml(path)
