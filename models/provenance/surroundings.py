"""By what a fit is made: packages, Python, cores and machine, of which the last digits of a model depend."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ALWAYS = ("numpy", "onnx", "onnxruntime")
FITS_WITH: Mapping[str, tuple[str, ...]] = {
    "catboost": ("catboost", "imbalanced-learn", "scikit-learn", "scipy"),
    "catboost_mixed": ("catboost", "scipy"),
    "keras_cnn": ("keras", "tensorflow"),
    "keras_mixed": ("keras", "tensorflow"),
    "keras_resnet": ("keras", "tensorflow"),
    "linear_text": ("scipy",),
    "logistic": ("scikit-learn", "scipy", "skops"),
    "logistic_batches": ("scipy",),
    "sklearn": ("scikit-learn", "scipy", "skl2onnx", "skops"),
    "xgboost": ("onnxmltools",),
}
"""Estimator to the packages that take part in its fits, besides those that take part in all."""
_CPU = Path("/proc/cpuinfo")


class Surroundings(BaseModel):
    """What fits a model, besides our code."""

    model_config = ConfigDict(frozen=True)

    python: str | None = None
    """Version of Python."""
    packages: dict[str, str] = {}
    """Name of a package that takes part to its version."""
    cores: int | None = None
    """Cores that the process could use: sums are shared out among them, and rounded accordingly."""
    machine: str | None = None
    """Kind of processor: its vector width decides how sums are rounded."""


def surroundings_here(estimator: str, imported: Iterable[str] = ()) -> Surroundings:
    """Those of a fit by this estimator in this process.

    Args:
        imported: packages besides, by the names that they are imported by, which the configuration names.
    """
    return Surroundings(
        python=platform.python_version(),
        packages=installed((*ALWAYS, *FITS_WITH.get(estimator, ()), *distributions_of(imported))),
        cores=usable_cores(),
        machine=_processor(),
    )


def distributions_of(imported: Iterable[str]) -> tuple[str, ...]:
    """Names by which packages are installed that are imported by these; of one that is not, none."""
    names = set(imported)
    if not names:
        return ()
    known = installed_packages()
    return tuple(sorted({name for one in names for name in known.get(one, ())}))


@cache
def installed_packages() -> Mapping[str, list[str]]:
    """Name by which something is imported to those of its packages; read once, as that takes a second."""
    return packages_distributions()


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Version of each of the packages that is installed."""
    versions = {}
    for name in sorted(set(names)):
        try:
            versions[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return versions


@cache
def installed_version(name: str) -> str:
    """Version of a package; read once, as what a process has imported of it stays.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return version(name)


def usable_cores() -> int:
    """Those that this process may use, which a container or whoever started it may have restricted."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def at_most_cores(count: int | None) -> Iterator[None]:
    """Keep this process to so many cores, as far as it has them; libraries count them when first imported."""
    if count is None or count >= usable_cores() or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _processor() -> str:
    """Architecture, and the processor's name where the system tells it."""
    try:
        lines = _CPU.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {named[0]}" if named else platform.machine()
