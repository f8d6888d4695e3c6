"""Which versions take part in work, here and at each worker: what differs is told before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from configs.schema import UseCase
from configs.settings import CHECKOUT
from features.encoders.own import packages_behind_encoder
from models.estimators.catalogue import packages_behind
from models.provenance.surroundings import ALWAYS, FITS_WITH, distributions_of

SPOKEN = ("cloudpickle", "dask", "distributed", "msgpack", "tornado")
"""By which client and workers understand each other."""
READ = ("pyarrow", "pydantic", "scikit-learn", "scipy", "skops")
"""By which records travel, and encoders are read."""
OURS = ("configs", "features", "store", "models", "flows")


def packages_of(use_case: UseCase) -> tuple[str, ...]:
    """Packages that take part where a use case's challengers are made and its versions answer."""
    found = {*ALWAYS, *SPOKEN, *READ}
    for challenger in use_case.training.challengers:
        chosen = use_case.for_challenger(challenger)
        params = {**chosen.model.params, **challenger.params}
        found |= set(FITS_WITH.get(chosen.model.estimator, ()))
        imported = packages_behind(chosen.model.estimator, params)
        found |= set(distributions_of(imported | packages_behind_encoder(chosen.features.encoder)))
    return tuple(sorted(found))


@cache
def code_digest() -> str:
    """SHA-256 of Ratchet's own code in this process's checkout, as it was when this was first asked."""
    digest = hashlib.sha256()
    for room in OURS:
        for path in sorted((CHECKOUT / room).rglob("*.py")):
            digest.update(path.relative_to(CHECKOUT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def differences(here: Mapping[str, Any], there: Mapping[str, Any], packages: Iterable[str]) -> list[str]:
    """How a worker's packages differ, in words; nothing where they do not.

    >>> differences({"python": "3.11.7.final.0", "numpy": "2.4"}, {"python": "3.12.1.final.0"}, ["numpy"])
    ['python 3.12 (here 3.11)', 'no numpy (here 2.4)']
    """
    found = []
    ours, theirs = (_minor(str(one.get("python", ""))) for one in (here, there))
    if ours != theirs:
        found.append(f"python {theirs or 'unknown'} (here {ours})")
    for name in packages:
        if here.get(name) != there.get(name):
            had = "no " + name if there.get(name) is None else f"{name} {there[name]}"
            found.append(f"{had} (here {here.get(name) or 'none'})")
    return found


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])
