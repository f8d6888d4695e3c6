"""The contract of encoders of other packages: a smaller one than ours (`contract`), as drift checks, fences
and rows that are left out stay those of the kind; `adopted` puts the two together.

Named by `features.encoder`, as an import path (`mypackage.encoders:MyEncoder`) or by an entry point of the
group `ratchet.encoders`; its parameters are `features.params`. `ratchet check-encoder` holds a class to the
laws (`models.laws`).

Columns are a mapping from the name of a field to n values, checked: numbers, integers and booleans float64
(NaN is missing), categories and texts object (str or None), times datetime64[us] in UTC (NaT), images uint8
(n, height, width) or (n, height, width, 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from configs.schema import Kind, RecordConfig, UseCase
from configs.schema.features import STANDARD
from features.errors import ClassMissing, EncoderUnavailable, Problem
from features.other_packages import (
    FOREIGN,
    find_class,
    named_by_packages,
    package_of,
    path_behind,
    raised,
)
from features.records.contract import Columns

GROUP = "ratchet.encoders"
CONTRACT = "features.encoders.own"
NEEDED = ("fit", "encode", "save", "load")
"""What a class must have."""
KINDS: tuple[Kind, ...] = ("tabular", "mixed", "text", "image")
Rows = Literal["numbers", "terms", "pictures"]
LEARNED_AS: Mapping[str, Kind] = {"numbers": "tabular", "terms": "text", "pictures": "image"}
"""What encoded rows are, and of which kind an estimator takes them to be: `numbers` (n, features), `terms`
(n, 2, room) of places and weights, the unused room being 0 and 0, `pictures` (n, height, width, channels)
between 0 and 1."""


class OwnEncoder(Protocol):
    """Turns checked columns into numbers that an estimator learns from.

    Class attributes say what it can. `kinds`: kinds of use cases whose records it encodes (all, where it says
    nothing). `rows`: what it makes of them, a key of `LEARNED_AS` (`numbers`, where it says nothing). Besides
    these methods it may have `notes` and `feature_names` (sentences about the fit; a name for each number), a
    method `refusal(record)`, a sentence why it cannot encode such records, or None, and `problems`
    (`Refusing`).
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Check the parameters; raises an error that names the key, what came and what is allowed."""
        ...

    def fit(self, columns: Columns, record: RecordConfig) -> None:
        """Learn from training rows: all of them at once, and nothing else ever.

        Args:
            columns: n rows; not to be changed.
            record: the description of their fields.
        """
        ...

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Finite numbers of n rows, from 0 to any number of them, shape (n, ...), the same for all.

        Each row by itself: neither its neighbours nor what was encoded before may matter. Several threads may
        ask at once. Every record that the fields allow is answered: what is missing, and what was never seen
        in training, too.
        """
        ...

    def save(self, directory: Path) -> None:
        """Write all that it has learned into an existing directory; no pickle."""
        ...

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The encoder that `save` wrote: it gives the very same numbers."""
        ...


@runtime_checkable
class Refusing(Protocol):
    """An encoder that cannot make anything of some records which their fields allow.

    They are not learned from; a request with one gets 422, which names record and field; where one has to be
    answered all the same (it was held out), its numbers are 0.
    """

    def problems(self, columns: Columns) -> Sequence[Problem]:
        """What is wrong with which of n records; also asked before the fit, which may not matter."""
        ...


def own_encoder_class(name: str) -> type[OwnEncoder]:
    """The class behind a name, or at an import path.

    Raises:
        EncoderUnavailable: it cannot be imported here, or is no encoder.
    """
    path = path_behind(name, GROUP, (STANDARD,))
    if path is None:
        names = ", ".join((STANDARD, *sorted(named_by_packages(GROUP, (STANDARD,)))))
        allowed = f"{names}, or the import path of a class such as mypackage.encoders:MyEncoder"
        raise EncoderUnavailable(f"got '{name}'; allowed: {allowed}")
    return _class_at(name, path)


@cache
def _class_at(name: str, path: str) -> type[OwnEncoder]:
    try:
        return cast("type[OwnEncoder]", find_class(path, NEEDED, CONTRACT))
    except ClassMissing as error:
        where = "every machine that trains or serves by it needs its package"
        raise EncoderUnavailable(f"'{name}' is not to be had: {error}; {where}") from error


def kinds_of(found: type[OwnEncoder]) -> tuple[str, ...]:
    """Kinds of use cases whose records a class encodes, as it says: names of kinds or whatever else."""
    said = getattr(found, "kinds", KINDS)
    return tuple(map(str, said)) if isinstance(said, (tuple, list)) else (str(said),)


def rows_of(found: type[OwnEncoder]) -> str:
    """What it makes of them."""
    return str(getattr(found, "rows", "numbers"))


def learned_as(use_case: UseCase) -> Kind:
    """Of which kind an estimator takes the encoded rows of a use case to be.

    Raises:
        EncoderUnavailable: its encoder is not to be had here.
    """
    if use_case.features.encoder == STANDARD:
        return use_case.kind
    return LEARNED_AS[rows_of(own_encoder_class(use_case.features.encoder))]


def packages_behind_encoder(name: str) -> set[str]:
    """Packages that an encoder needs because the configuration names it; as they are imported."""
    path = None if name == STANDARD else path_behind(name, GROUP, (STANDARD,))
    return set() if path is None else {package_of(path)}


def encoder_problem(use_case: UseCase) -> str | None:
    """Why the encoder of a use case cannot be, if so: it is not here, or does not suit its records."""
    name = use_case.features.encoder
    if name == STANDARD:
        return None
    try:
        found = own_encoder_class(name)
    except EncoderUnavailable as error:
        return str(error)
    try:
        return _problem_of(use_case, name, found)
    except FOREIGN as error:
        return f"features.encoder: {name} {raised(error)} where it is asked what it can encode"


def _problem_of(use_case: UseCase, name: str, found: type[OwnEncoder]) -> str | None:
    """The same of the class; what it raises besides refusing its parameters is passed on."""
    if unknown := [one for one in (*kinds_of(found), rows_of(found)) if one not in (*KINDS, *LEARNED_AS)]:
        return f"features.encoder: {name} says '{unknown[0]}'; allowed: {_listed((*KINDS, *LEARNED_AS))}"
    if use_case.kind not in kinds_of(found):
        return f"features.encoder: {name} encodes kind {_listed(kinds_of(found))}, got {use_case.kind}"
    try:
        encoder = found(use_case.features.params)
    except FOREIGN as error:  # whatever a class of others says of its parameters
        return f"features.params: {name} refuses them: {_sentence(error)}"
    refusal = getattr(encoder, "refusal", None)
    reason = None if refusal is None else refusal(use_case.record)
    if reason is not None and not isinstance(reason, str):
        return f"features.encoder: {name}.refusal(record) gives {reason!r:.60}; allowed: a sentence, or None"
    return None if reason is None else f"features.encoder: {name}: {reason}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _sentence(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it {raised(error)}"
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return " ".join(str(error).split())[:300] or type(error).__name__
