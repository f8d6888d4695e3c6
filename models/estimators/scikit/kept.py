"""A fitted classifier on disk, without pickle: LightGBM's and XGBoost's own formats, else skops'.

skops makes an object of each type that a file names, so a file may name only what its classifier needs: the
types that were written down when it was made, each a class of scikit-learn or of a package that the
configuration names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from models.errors import UntrustedTypes
from models.estimators.scikit.boosters import FORMS

FACTS, SKOPS_FILE, SKOPS = "facts.json", "model.skops", "skops"
PLAIN = frozenset({"collections.OrderedDict"})
"""Of Python's library, what LightGBM's state holds."""


@dataclass(frozen=True)
class Facts:
    """What is known of a fitted classifier besides itself."""

    form: str
    """`skops`, `lightgbm` or `xgboost`: the format of its file."""
    classes: tuple[int, ...]
    """Numbers of the classes that it learned, in the order of its answers; of label sets all."""
    n_classes: int
    per_label: bool
    terms: int | None
    """Terms of texts that it knows; None: its rows are no texts."""
    types: tuple[str, ...] = ()
    """Types that its file holds besides numpy's and those that skops knows."""


def save(model: Any, facts: Facts, directory: Path) -> None:
    """Write a classifier and what is known of it into a directory."""
    if facts.form == SKOPS:
        import skops.io

        skops.io.dump(model, directory / SKOPS_FILE)
        types = skops.io.get_untrusted_types(file=directory / SKOPS_FILE)
        facts = Facts(**{**asdict(facts), "types": tuple(sorted(types))})
    else:
        model.save(directory)
    (directory / FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")


def read_facts(directory: Path) -> Facts:
    """What `save` wrote of a classifier."""
    raw = json.loads((directory / FACTS).read_text(encoding="utf-8"))
    return Facts(**{**raw, "classes": tuple(raw["classes"]), "types": tuple(raw["types"])})


def load(directory: Path, facts: Facts, packages: Collection[str]) -> Any:
    """The classifier that `save` wrote.

    Args:
        packages: those that the configuration names, whose classes a file may hold beside scikit-learn's.

    Raises:
        UntrustedTypes: the file names another type.
    """
    if facts.form != SKOPS:
        return FORMS[facts.form].load(directory)
    import skops.io

    types = skops.io.get_untrusted_types(file=directory / SKOPS_FILE)
    refuse_untrusted(types, facts.types, packages)
    loaded = skops.io.load(directory / SKOPS_FILE, trusted=types)
    # A light worker has pandas barred while libraries are imported. Asked for answers, scikit-learn looks
    # whether
    # it was imported, and takes the bar for the module.
    if sys.modules.get("pandas", sys) is None:
        del sys.modules["pandas"]
    return loaded


def refuse_untrusted(types: Iterable[str], named: Collection[str], packages: Collection[str]) -> None:
    """Refuse types that were not written down, or that are no classes of these packages or scikit-learn.

    Raises:
        UntrustedTypes: naming the first.
    """
    allowed = {"sklearn", *packages} - sys.stdlib_module_names
    for one in sorted(types):
        if one not in named or not (one in PLAIN or _is_class_of(one, allowed)):
            raise UntrustedTypes(one, sorted(allowed))


def _is_class_of(path: str, packages: Collection[str]) -> bool:
    """Whether a path is that of a class which one of the packages itself has made; no function is one."""
    module, _, name = path.rpartition(".")
    if path.split(".")[0] not in packages:
        return False
    found = getattr(import_module(module), name, None)
    return isinstance(found, type) and found.__module__.split(".")[0] in packages
