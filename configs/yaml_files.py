"""YAML of files and options of commands, read by one loader that bounds its size and refuses repeated keys.

An alias (`*name`) stands for all that its anchor (`&name`) holds, so a short file of aliases of aliases can
mean billions of values, and whoever walks through them never ends. Here aliases and merges (`<<`) are
allowed, and a document is measured as if each were written out. It is refused where it passes a bound,
before anything is made of it; and where a mapping names a key twice, of which YAML keeps the last in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from configs.errors import ConfigError

MAX_BYTES = 1_000_000
"""Most bytes of a file, and most characters of all its values with each alias written out."""
MAX_VALUES = 100_000
"""Most keys, values, lists and mappings, with each alias written out."""
MAX_DEPTH = 50
"""Most lists and mappings within one another."""
MAX_NUMBER = 100
"""Most characters of a number: in base 60 (`1:30:00`) a long one takes minutes to read."""
MAX_SHOWN = 60
"""Characters of a key or a value that a message shows."""
MAX_REASON = 300
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"


class DocumentError(ConfigError):
    """A YAML file that is not read; `reason` names line and column where there are any."""

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class _Size:
    """How much a document holds, with each alias written out."""

    values: int
    characters: int

    def __add__(self, other: _Size) -> _Size:
        return _Size(self.values + other.values, self.characters + other.characters)

    def __sub__(self, other: _Size) -> _Size:
        return _Size(self.values - other.values, self.characters - other.characters)


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that passes a bound or repeats a key."""


class _Loader(Composer, CParser, SafeConstructor, Resolver):
    """Plain values only, as `yaml.SafeLoader`, within the bounds.

    libyaml parses, which takes a tenth of the time; values are composed here, where they are counted.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._depth = 0
        self._size = _Size(0, 0)
        self._sizes: dict[yaml.Node, _Size] = {}
        """Of nodes read to their end; a node that an alias names and that is missing contains the alias."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next value, counted."""
        event = self.peek_event()
        assert event is not None  # the composer asks where there is one
        if isinstance(event, yaml.AliasEvent):
            return self._compose_alias(event, parent, index)
        size_before = self._size
        self._count(_Size(1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0), event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refuse(event, f"lists and mappings within one another; allowed: a depth of {MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node)
        if node is not None:
            self._sizes[node] = self._size - size_before
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; a scalar that is none of its kind is refused with its line."""
        if not isinstance(node, yaml.ScalarNode):
            return super().construct_object(node, deep=deep)
        if node.tag in (_INT, _FLOAT) and len(node.value) > MAX_NUMBER:
            raise _refuse(node, f"a number of {len(node.value)} characters; allowed: {MAX_NUMBER}")
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as error:  # as for the date 2026-02-30
            raise _refuse(node, f"{_quoted(node)} is no {node.tag.rpartition(':')[2]}") from error

    def _compose_alias(
        self, event: yaml.AliasEvent, parent: yaml.Node | None, index: int
    ) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if node not in self._sizes:
            raise _refuse(
                event, f"*{event.anchor:.{MAX_SHOWN}} is part of what &{event.anchor:.{MAX_SHOWN}} holds"
            )
        self._count(self._sizes[node], event)
        return node

    def _count(self, size: _Size, event: yaml.Event) -> None:
        self._size += size
        if self._size.values > MAX_VALUES or self._size.characters > MAX_BYTES:
            raise _refuse(
                event,
                "the file holds too much up to here; allowed, with each alias written out: "
                f"{MAX_VALUES:,} values and {MAX_BYTES:,} characters",
            )


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, as plain values.

    Raises:
        FileNotFoundError: there is no such file.
        DocumentError: it cannot be read, is no YAML, or passes a bound.
    """
    try:
        if path.exists() and not path.is_file():
            raise DocumentError(path, "is no file")  # a pipe would be waited for without end
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(path, f"is longer than {MAX_BYTES:,} bytes, which are allowed")
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(path, f"cannot be read: {error}") from error
    try:
        return parse_yaml(text)
    except ConfigError as error:
        raise DocumentError(path, str(error)) from error


def parse_yaml(text: str) -> Any:
    """The content of a YAML document, as plain values.

    Raises:
        ConfigError: it is no YAML, or passes a bound; says where.
    """
    try:
        if len(text) > MAX_BYTES:
            raise ConfigError(f"is longer than {MAX_BYTES:,} characters, which are allowed")
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_reason(error, text)) from error
    except (yaml.YAMLError, UnicodeError) as error:  # libyaml decodes the escapes of a tag late
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}") from error


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name = (key.tag, key.value)
        if name in lines:
            raise _refuse(key, f"key {_quoted(key)} is there already, in line {lines[name]}; allowed: once")
        lines[name] = key.start_mark.line + 1


def _refuse(place: yaml.Event | yaml.Node, problem: str) -> _Refused:
    mark: Any = place.start_mark
    return _Refused(problem=problem, problem_mark=mark)


def _reason(error: yaml.MarkedYAMLError, text: str) -> str:
    """One line: where, and what is wrong there."""
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    message = " ".join(part for part in (error.context, error.problem) if part)
    if isinstance(error, _Refused):
        return place + message
    is_tab = mark is not None and _is_tab(text, mark)
    tab = "; a tab is there, and YAML indents by spaces" if is_tab else ""
    return f"{place}not valid YAML: {message[:MAX_REASON]}{tab}"


def _is_tab(text: str, mark: Any) -> bool:
    lines = text.split("\n")
    place: str = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    return place.startswith("\t")


def _quoted(node: yaml.ScalarNode) -> str:
    text = str(node.value)
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")
