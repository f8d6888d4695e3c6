"""The estimator, the challengers, and the rows that are held out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from configs.schema.base import Fraction, Frozen, Identifier
from configs.schema.features import FeaturesChoice
from configs.sizes import PATTERN as SIZE
from configs.times.durations import PATTERN as DURATION


def _told_in_one_sentence(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        allowed = "a number of rows above 0, or a time such as 12h, 90d or 8w"
        raise ValueError(f"got {value!r}; allowed: {allowed}") from None


Window = Annotated[
    Annotated[int, Field(gt=0)] | Annotated[str, Field(pattern=DURATION)],
    WrapValidator(_told_in_one_sentence),
]


class ModelConfig(Frozen):
    """The estimator and its parameters."""

    estimator: str
    """Name in the estimator table; one that cannot learn from the kind or the target is refused."""
    params: dict[str, Any] = {}
    """Parameters of that estimator; it refuses those it does not know."""


class HoldoutConfig(Frozen):
    """Which rows are kept for judging and never learned from."""

    by: Literal["time", "hash"] = "time"
    """`time`: some of the rows since production's snapshot; `hash`: a fixed share of all, never learned."""
    fraction: Fraction = 0.2
    """Share of those rows that is held out."""
    min_rows: Annotated[int, Field(gt=0)] = 100
    """Hold out at least this many, and against production at least `gate.min_rows` (but never more than half
    of all rows)."""
    max_rows: Annotated[int, Field(gt=0)] = 5000
    """Hold out, and judge on, at most this many."""

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        if self.min_rows > self.max_rows:
            raise ValueError(f"min_rows {self.min_rows} is above max_rows {self.max_rows}")
        return self


class MemberConfig(Frozen):
    """One of the models that a challenger blends, by the same estimator."""

    name: Identifier
    """Name in the notes and the manifest of a version."""
    window: Annotated[int, Field(gt=0)] | None = None
    """Learn from the rows of the newest this many retrains; absent: all."""


class ChallengerConfig(Frozen):
    """One model that a retrain offers to the gate."""

    name: Identifier
    """Name in the run list and the ledger."""
    fit: Literal["full", "warm"] = "full"
    """`full`: from nothing; `warm`: on a copy of production (estimators that can update)."""
    window: Window | None = None
    """Learn from the newest this many rows, or from those of the newest `12h`, `90d` or `8w`; absent: all."""
    params: dict[str, Any] = {}
    """Parameters that differ from the model's own."""
    model: ModelConfig | None = None
    """An estimator of its own, with its parameters; absent: the use case's."""
    features: FeaturesChoice | None = None
    """Encoder options of its own; absent, and of sections that it does not have: the use case's."""
    members: tuple[MemberConfig, ...] = ()
    """Blend these: one model that answers by their weighted mean; not with `window` or `fit: warm`."""

    @model_validator(mode="after")
    def _members_blend(self) -> Self:
        if self.members and (problem := self._blend_problem()):
            raise ValueError(f"members of challenger '{self.name}': {problem}")
        return self

    def recipe(self) -> dict[str, Any]:
        """All that says how it is made, as JSON values; its own model and features only where it has them."""
        without = {name for name in ("model", "features") if getattr(self, name) is None}
        told = self.model_dump(mode="json", exclude=without)
        if self.features is not None:
            told["features"] = {
                name: value
                for name, value in told["features"].items()
                if value is not None or name not in ("encoder", "params")
            }
        return told

    def _blend_problem(self) -> str | None:
        """Why members cannot be blended, if so."""
        names = [member.name for member in self.members]
        unlimited = [member.name for member in self.members if member.window is None]
        if self.fit == "warm":
            return "allowed with `fit: full` only; a warm start goes on from the members that production has"
        if self.window is not None:
            return f"not allowed beside `window: {self.window}`; give members windows of their own"
        if len(names) < 2:
            return f"got only '{names[0]}'; name at least 2, or leave `members` out"
        if len(set(names)) != len(names):
            return f"they repeat a name: {names}"
        if unlimited != names[:1]:
            return f"the first, and no other, must be without `window`; without are {unlimited or 'none'}"
        return None


POOL = ChallengerConfig(
    name="blend",
    members=(
        MemberConfig(name="full"),
        MemberConfig(name="newest_8", window=8),
        MemberConfig(name="newest_3", window=3),
        MemberConfig(name="newest_1", window=1),
    ),
)
"""A blend that follows what changes as well as what stays."""


class TrainingConfig(Frozen):
    """How challengers are made."""

    seed: int = 7
    """Seed of everything random."""
    min_rows: Annotated[int, Field(gt=0)] = 50
    """Least training rows; no retrain is due before the rows that are not held out are as many."""
    holdout: HoldoutConfig = HoldoutConfig()
    max_memory: Annotated[str, Field(pattern=SIZE)] | None = None
    """Most memory that a process may come to by a fit, such as `4GB`. One that learns all rows at once, and
    by its estimate would take more, is refused before it begins; networks then learn in batches. Absent: all
    that the machine, or its container, has."""
    validation: Annotated[int, Field(ge=2, le=20)] = 5
    """Parts that training rows are cut into to choose thresholds; a model of the others answers each."""
    checkpoints: bool = True
    """Keep a checkpoint of each epoch, for estimators that can go on from one."""
    on_stop: Literal["keep", "discard"] = "keep"
    """What becomes of the checkpoint of a training that was stopped; after a kill it is always kept."""
    warm: dict[str, Any] = {}
    """Parameters of the warm start on labels sent to be learned from at once, where no challenger has
    `fit: warm`."""
    baseline: Literal["first", "always", "never"] = "first"
    """Enter a plain model of the kind as challenger `plain` beside those configured: for the `first` model,
    with every retrain (`always`), or `never`. It is judged as they are, and its score is told beside
    production's."""
    challengers: Annotated[tuple[ChallengerConfig, ...], Field(min_length=1)] = (POOL,)

    @model_validator(mode="after")
    def _challengers_differ(self) -> Self:
        names = [challenger.name for challenger in self.challengers]
        if len(set(names)) != len(names):
            raise ValueError(f"challengers repeat a name: {names}")
        if all(challenger.fit == "warm" for challenger in self.challengers):
            raise ValueError(
                "one challenger must have `fit: full`: the first model has nothing to start from"
            )
        return self
