"""What is otherwise here than where a version was made: packages, Python, code, cores, processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.encoders.own import packages_behind_encoder
from flows.reproduce.origin import Origin
from models.estimators.catalogue import packages_behind
from models.provenance.code_revision import code_revision
from models.provenance.surroundings import Surroundings, installed, surroundings_here


@dataclass(frozen=True)
class Difference:
    """Something that may change what a fit comes to."""

    what: str
    then: str
    now: str | None
    """None: it is not here."""

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.what} was {self.then}, here it is {self.now or 'not installed'}"


def find_differences(origin: Origin) -> tuple[Difference, ...]:
    """Everything that differs, as far as the version says what there was."""
    then, made = origin.inputs.surroundings, origin.manifest
    packages = packages_behind(made.estimator, made.params)
    packages |= packages_behind_encoder(origin.use_case.features.encoder)
    now = surroundings_here(made.estimator, packages)
    needed = {**origin.requirements, **then.packages}
    return (*_packages(needed), *_revision(origin), *_machine(then, now))


def _packages(needed: Mapping[str, str]) -> Iterator[Difference]:
    here = installed(tuple(needed))
    for name, version in sorted(needed.items()):
        if here.get(name) != version:
            yield Difference(f"package {name}", version, here.get(name))


def _revision(origin: Origin) -> Iterator[Difference]:
    made_by, here = origin.manifest.lineage.code_revision, code_revision()
    if made_by not in (None, "unknown", here) and here != "unknown":
        yield Difference("revision of the code", str(made_by), here)


def _machine(then: Surroundings, now: Surroundings) -> Iterator[Difference]:
    if then.python is not None and then.python != now.python:
        yield Difference("Python", then.python, now.python)
    if then.machine is not None and then.machine != now.machine:
        yield Difference("processor", then.machine, now.machine)
    if then.cores is not None and then.cores > (now.cores or 0):  # of more it is kept to as many
        yield Difference("number of cores", str(then.cores), str(now.cores))
