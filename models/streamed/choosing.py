"""How a fit takes its rows, decided before it begins: in batches, or all at once where memory allows that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from configs.combinations import ABILITIES
from configs.schema import ChallengerConfig, UseCase
from configs.sizes import read_size
from features.encoders.batched.learning import learns_in_batches
from features.encoders.contract import fit_encoder
from features.errors import FeatureError
from features.records.rows import RowSource, record_bytes
from models.errors import ModelError, TooMuchMemory
from models.estimators.contract import Estimator, Partitioned, Takes, takes
from models.streamed.memory import (
    BESIDE_RECORD,
    OTHER,
    TAKES,
    Estimate,
    describe_bytes,
    estimate,
    machine_memory,
)
from models.streamed.sources import newest, some_of
from models.versions.fit_checks import with_encoding
from models.versions.fitting import estimator_of

SAMPLED = {"tabular": 2000, "mixed": 2000, "text": 200, "image": 2}
"""Kind of a use case to rows by which the size of an encoded one is told."""
OPEN_CATEGORY, DATE, TEXT_NUMBERS = 100, 8, 5
"""Most columns of a category whose values are not configured, numbers of a date and of a text in a table."""
STREAMING = tuple(name for name, one in ABILITIES.items() if one.batches)


@dataclass(frozen=True)
class FitPlan:
    """How one challenger's fit takes its rows."""

    challenger: str
    estimator: str
    rows: int
    in_batches: bool
    all_at_once: Estimate | None
    """What all rows at once would take; None: it was not asked."""
    limit: int | None
    """Bytes that a fit may take; None: nothing says how much there is."""

    @property
    def told(self) -> str:
        """A sentence for the log."""
        begin = f"challenger '{self.challenger}': {self.estimator} learns {self.rows:,} rows"
        allowed = "" if self.limit is None else f" (allowed: {describe_bytes(self.limit)})"
        if self.in_batches:
            instead = "" if self.all_at_once is None else f"; all at once: {self.all_at_once.told}{allowed}"
            return f"{begin} in batches{instead}"
        if self.all_at_once is None:
            return f"{begin} at once"
        return f"{begin} at once, {self.all_at_once.told}{allowed}"


def plan_fit(use_case: UseCase, rows: RowSource, challenger: ChallengerConfig) -> FitPlan:
    """How a challenger's fit takes these training rows.

    Raises:
        TooMuchMemory: all at once, and they take more than is allowed.
        ModelError: its estimator cannot be made.
    """
    use_case = use_case.for_challenger(challenger)
    estimator, _ = estimator_of(use_case, challenger)
    name, limit = estimator.name, memory_limit(use_case)
    rows = newest(rows, challenger.window)
    streams = can_stream(use_case, estimator) and challenger.fit == "full"
    if streams and not getattr(estimator, "rather_all_rows", False):
        return FitPlan(challenger.name, name, len(rows), True, None, limit)
    found = estimate_fit(use_case, rows, estimator)
    if found is None or limit is None or found.bytes <= limit:
        return FitPlan(challenger.name, name, len(rows), False, found, limit)
    if streams:
        return FitPlan(challenger.name, name, len(rows), True, found, limit)
    fitting = max(0, int(len(rows) * (limit - found.taken.fixed) / (found.bytes - found.taken.fixed)))
    raise TooMuchMemory(
        challenger.name,
        name,
        needed=found.told,
        allowed=describe_bytes(limit),
        configured=use_case.training.max_memory is not None,
        fitting=fitting,
        instead=[one for one in STREAMING if _could_learn(use_case, one)],
    )


def can_stream(use_case: UseCase, estimator: Estimator) -> bool:
    """Whether its rows may come in batches: by what the estimator, the encoder and the target can."""
    return (
        takes(estimator) is not Takes.ALL_ROWS
        and learns_in_batches(use_case)
        and use_case.target.task != "multilabel"
    )


def learns_over_partitions(use_case: UseCase, challenger: ChallengerConfig) -> bool:
    """Whether a challenger can be made by all workers of a cluster together, each of parts of the rows."""
    use_case = use_case.for_challenger(challenger)
    try:
        estimator, _ = estimator_of(use_case, challenger)
    except ModelError:  # told by who makes it
        return False
    return challenger.fit == "full" and can_stream(use_case, estimator) and isinstance(estimator, Partitioned)


def memory_limit(use_case: UseCase) -> int | None:
    """Bytes that a fit may take: as configured, else all that the machine or its container has."""
    configured = use_case.training.max_memory
    return machine_memory() if configured is None else read_size(configured)


def foresee(use_case: UseCase) -> str:
    """What fits of a use case take, told by its configuration alone: a sentence for who looks it over."""
    limit = memory_limit(use_case)
    allowed = "" if limit is None else f" of {describe_bytes(limit)}"
    sentences = []
    for name, one in _estimators(use_case).items():
        able = ABILITIES.get(name)
        if able is not None and able.batches and learns_in_batches(one) and one.target.task != "multilabel":
            sentences.append(f"{name} learns in batches")
            continue
        taken = TAKES.get(name, OTHER)
        row = BESIDE_RECORD + record_bytes(one.record) + taken.copies * 4 * _widest_row(one)
        most = "" if limit is None else f", so up to {max(0, int((limit - taken.fixed) / row)):,} rows"
        sentences.append(
            f"{name} takes {describe_bytes(taken.fixed)} and at most {describe_bytes(1e6 * row)} for a "
            f"million rows{most}{allowed}"
        )
    return f"{use_case.name}: {'; '.join(sentences)}"


def _estimators(use_case: UseCase) -> dict[str, UseCase]:
    """Estimators of the challengers, and the configuration that each learns by."""
    for_each = [use_case.for_challenger(one) for one in use_case.training.challengers]
    return {one.model.estimator: one for one in for_each}


def _could_learn(use_case: UseCase, name: str) -> bool:
    return use_case.kind in ABILITIES[name].kinds and use_case.target.task != "multilabel"


def estimate_fit(use_case: UseCase, rows: RowSource, estimator: Estimator) -> Estimate | None:
    """By the encoder of a few rows; None where there are none, or it cannot learn from so few."""
    some = some_of(rows, SAMPLED[use_case.kind])
    if some is None:
        return None
    few = some.take(slice(None, SAMPLED[use_case.kind]))
    try:
        shape = fit_encoder(with_encoding(use_case, estimator), few.columns).input_shape
    except FeatureError:
        return None
    return estimate(estimator.name, len(rows), few.columns, shape)


def _widest_row(use_case: UseCase) -> int:
    """Most numbers of an encoded row, by the fields."""
    if use_case.kind == "text":
        return 2 * use_case.features.text.max_terms
    numbers = use_case.features.mixed.buckets if use_case.kind == "mixed" else 0
    for field in use_case.record.fields:
        if field.type == "image":
            numbers += math.prod(field.shape or ())
        elif field.type == "category":
            numbers += len(field.categories or ()) or OPEN_CATEGORY
        else:
            numbers += {"datetime": DATE, "text": TEXT_NUMBERS}.get(field.type, 1)
        numbers += field.nullable
    return numbers
