"""Classes of other packages, found by an import path or by the name that their package gives them.

An import path is `mypackage.models:MyNet`. A name is an entry point of a group, such as `ratchet.estimators`.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from configs.near_names import meant
from features.errors import ClassMissing


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
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        root = package_of(path)
        here = "is not installed here" if error.name == root else f"cannot be imported: {error}"
        raise ClassMissing(f"package {root} {here}") from error
    except Exception as error:
        raise ClassMissing(f"{module_name} raises {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    if found is None:
        classes = [one for one, value in vars(module).items() if inspect.isclass(value)]
        raise ClassMissing(f"{module_name} has no {attribute!r}{meant(attribute, classes)}")
    missing = [one for one in needed if not callable(getattr(found, one, None))]
    if not inspect.isclass(found) or missing:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise ClassMissing(f"{path} is no class that obeys {contract}{lacks}")
    return found
