"""Which estimators learn from which kinds, targets and fits: what cannot work is refused on reading.

`models.estimators` knows the estimators themselves; a test compares. Only files are held to it: versions that
were made under an earlier rule are still read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """What an estimator can learn from."""

    kinds: tuple[str, ...]
    multilabel: bool
    """Whether it gives any number of labels a row."""
    warm: bool
    """Whether it can go on from a version that has learned."""
    batches: bool = False
    """Whether it learns from rows that come in batches and are not all in memory."""
    terms: bool = False
    """Whether records of kind `mixed` reach it with their texts as weighted terms, not as buckets."""
    epochs: tuple[str, ...] = ()
    """Fits (`full`, `warm`) whose epochs can be chosen."""


BOTH = ("full", "warm")
"""Kinds of fits."""

PIXELS = ("keras_cnn", "keras_resnet")
"""Estimators that learn from pictures as pixels alone, and not from vectors."""

ABILITIES: Mapping[str, Abilities] = {
    "keras_cnn": Abilities(("image",), multilabel=False, warm=True, batches=True, epochs=BOTH),
    "keras_resnet": Abilities(("image",), multilabel=False, warm=True, batches=True, epochs=BOTH),
    "catboost": Abilities(("tabular", "mixed"), multilabel=False, warm=True),
    "logistic": Abilities(("tabular", "mixed", "image", "text"), multilabel=False, warm=False),
    "linear_text": Abilities(("text",), multilabel=True, warm=True, epochs=BOTH),
    "keras_mixed": Abilities(("mixed", "tabular"), multilabel=True, warm=True, batches=True, epochs=BOTH),
    "catboost_mixed": Abilities(("mixed",), multilabel=True, warm=True, terms=True, epochs=("warm",)),
    "logistic_batches": Abilities(("tabular", "mixed", "image"), multilabel=False, warm=False, batches=True),
    "xgboost": Abilities(("tabular", "mixed"), multilabel=False, warm=False, batches=True),
    "sklearn": Abilities(("tabular", "mixed", "image", "text"), multilabel=True, warm=True),
}
"""By name in `model.estimator`; what a class that `sklearn` is given cannot is said when that is looked
at."""


def estimator_problem(estimator: str, kind: str | None, task: str, warm: Sequence[str]) -> str | None:
    """Why an estimator cannot work with the rest of a configuration, if so; unknown names are not judged.

    Args:
        kind: of the records; None: a class of another package encodes them, which is asked later what it
            makes of them.
        warm: names of the challengers with `fit: warm`.
    """
    able = ABILITIES.get(estimator)
    if able is None:
        return None
    others = [name for name, one in ABILITIES.items() if _fits(one, kind, task)]
    of_kind = f"kind {kind} and " if kind else ""
    instead = f"; for {of_kind}a {task} target use {_either(others)}" if others else ""
    if kind is not None and kind not in able.kinds:
        return f"model.estimator {estimator} learns from kind {_either(able.kinds)}, got kind {kind}{instead}"
    if not _fits(able, kind, task):
        return f"model.estimator {estimator} gives one label a row, got task {task}{instead}"
    if warm and not able.warm:
        return (
            f"training.challengers: '{warm[0]}' has fit warm, and model.estimator {estimator} cannot go on "
            f"from production; use fit full, or {_either([name for name in others if ABILITIES[name].warm])}"
        )
    return None


def epochs_problem(estimator: str, fits: Collection[str], kind: str) -> str | None:
    """Why a run cannot be asked for epochs, if so; unknown names are not judged.

    Args:
        fits: those of the challengers that the estimator makes.
        kind: of the records.
    """
    able = ABILITIES.get(estimator)
    if able is None or (able.epochs and set(fits) <= set(able.epochs)):
        return None
    with_epochs = [name for name, one in ABILITIES.items() if "full" in one.epochs and kind in one.kinds]
    return f"model.estimator {estimator} has no epochs; of kind {kind} have: {', '.join(with_epochs)}"


def learns_from_terms(estimator: str) -> bool:
    """Whether records of kind `mixed` reach this estimator with their texts as weighted terms."""
    able = ABILITIES.get(estimator)
    return able is not None and able.terms


def vectors_problem(estimator: str) -> str | None:
    """Why an estimator cannot learn from pictures that a network has turned into vectors, if so."""
    if estimator not in PIXELS:
        return None
    able = _either([name for name, one in ABILITIES.items() if "image" in one.kinds and name not in PIXELS])
    return (
        f"model.estimator {estimator} learns from pixels, and features.image.backbone gives vectors; "
        f"use {able}"
    )


def _fits(able: Abilities, kind: str | None, task: str) -> bool:
    return (kind is None or kind in able.kinds) and (able.multilabel or task != "multilabel")


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
