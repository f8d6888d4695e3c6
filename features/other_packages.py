"""Classes of other packages, found by an import path or by the name that their package gives them.

An import path is `mypackage.models:MyNet`. A name is an entry point of a group, such as `ratchet.estimators`.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from configs.spelling.near_names import meant
from features.errors import ClassMissing

FOREIGN = (Exception, SystemExit)
"""What code of another package may raise where it is imported, made or asked: `sys.exit` among it, which
would end us without a word."""
MOST_LETTERS = 300


def raised(error: BaseException) -> str:
    """What such code raised, in one line: the class of the error and what it says.

    >>> raised(ValueError("no such\\nheat"))
    'raises ValueError: no such heat'
    >>> raised(SystemExit(3))
    'ends the process by sys.exit(3)'
    """
    if isinstance(error, SystemExit):
        return f"ends the process by sys.exit({error.code!r:.100})"
    try:
        words = " ".join(str(error).split())[:MOST_LETTERS]
    except FOREIGN:  # whose words cannot be had either
        words = ""
    return f"raises {type(error).__name__}{': ' if words else ''}{words}"


def named_by_packages(group: str, ours: Collection[str]) -> dict[str, EntryPoint]:
    """Name to entry point of every class that an installed package offers, without those of our own names."""
    return {point.name: point for point in entry_points(group=group) if point.name not in ours}


def path_behind(name: str, group: str, ours: Collection[str]) -> str | None:
    """The import path that a name stands for, and an import path itself; None: nothing has the name."""
    if ":" in name:
        return name
    point = named_by_packages(group, ours).get(name)
    return None if point is None else point.value


def package_of(path: str) -> str:
    """The package that a path leads into, as it is imported.

    >>> package_of("mypackage.models:MyNet")
    'mypackage'
    """
    return path.partition(":")[0].split(".")[0]


def find_class(path: str, needed: Sequence[str], contract: str) -> type[Any]:
    """The class at an import path.

    Args:
        path: `module:Class`.
        needed: what it must have to be one of its kind.
        contract: the module that says so.

    Raises:
        ClassMissing: saying why it is not to be had.
    """
    module_name, _, attribute = path.partition(":")
    try:
        return _class_of(import_module(module_name), attribute, needed, contract, path)
    except ClassMissing:
        raise
    except ModuleNotFoundError as error:
        root = package_of(path)
        here = (
            "is not installed here, nor does its parent folder stand in PYTHONPATH"
            if error.name == root
            else f"cannot be imported: {error}"
        )
        raise ClassMissing(f"package {root} {here}") from error
    except FOREIGN as error:
        raise ClassMissing(f"{module_name} {raised(error)}") from error


def _class_of(
    module: ModuleType, attribute: str, needed: Sequence[str], contract: str, path: str
) -> type[Any]:
    """The class of a module; what the module or the class raises where it is looked at is passed on."""
    found = getattr(module, attribute, None)
    if found is None:
        classes = [one for one, value in vars(module).items() if inspect.isclass(value)]
        raise ClassMissing(f"{module.__name__} has no {attribute!r}{meant(attribute, classes)}")
    missing = [one for one in needed if not callable(getattr(found, one, None))]
    if not inspect.isclass(found) or missing:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise ClassMissing(f"{path} is no class that obeys {contract}{lacks}")
    return found
