"""Which variables there are, read from where `Settings` declares them, and those that were set in vain."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping

from configs import settings
from configs.security.printable import printable
from configs.spelling.near_names import nearest

PREFIX = "RATCHET_"
OF_A_STACK = "RATCHET_STACK_HOME"
"""Marks every process of a stack with the home that it belongs to; descendants inherit it."""
TOLD_TO_CHILDREN = (OF_A_STACK, "RATCHET_STACK_SERVER", "RATCHET_PROCESS_MANAGER", "RATCHET_WARM_SOCKET")
"""What processes of Ratchet tell those that they start."""
_OF_OTHERS = re.compile(
    r"KEY|(TEST|BENCH)_\w+|SCREENSHOTS(_IN)?"  # examples of the documentation, tests, benchmarks
    r"|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT_\d+_(TCP|UDP)(_\w+)?"  # Kubernetes, of its Services
)


def variables() -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each environment variable, read from the sentences in `Settings`."""
    tree = ast.parse(inspect.getsource(settings))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            sentence = " ".join(str(node.value.value).split())
            if match := re.match(r"`([A-Z_]+)` \((.+?)\): (.+)", sentence):
                yield match[1], match[2], match[3]


def set_in_vain(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is named like one of Ratchet's, and that nothing reads."""
    settings_of_ours = {name for name, _, _ in variables() if name.startswith(PREFIX)}
    known = {name.removeprefix(PREFIX) for name in settings_of_ours}
    told = []
    for name in sorted(environ.keys() - settings_of_ours - set(TOLD_TO_CHILDREN)):
        rest = _own_part(name, known)
        if rest is None or (name.startswith(PREFIX) and _OF_OTHERS.fullmatch(rest)):
            continue
        near = nearest(rest, known)
        way = f"is {PREFIX}{near} meant?" if near else "docs/configuration.md has those that are read"
        told.append(f"{name} is set, and nothing reads it; {way}")
    return told


def _own_part(name: str, known: set[str]) -> str | None:
    """What follows the prefix, also where that is misspelt before the name of a setting; None: another's."""
    prefix, _, rest = name.partition("_")
    if prefix.upper() == "RATCHET":
        return rest or None
    is_near = prefix[:1].upper() == "R" and nearest(prefix, ["RATCHET"]) is not None
    return rest if is_near and rest.upper() in known else None


def tell_set_in_vain(environ: Mapping[str, str]) -> None:
    """Say so on standard error, once for a stack: what it starts does not say it again."""
    if OF_A_STACK not in environ:
        for sentence in set_in_vain(environ):
            sys.stderr.write(f"ratchet: {printable(sentence)}\n")
