"""One policy played over the periods of a history: what served, when it changed, and what that was worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, UseCase
from features.records.contract import take
from flows.replay.fits import FitAnswers, FitStore, Wanted
from flows.replay.history import History, Periods, Places
from flows.retrain.protection import Usual, chosen_by_class, usual_of
from store.feedback.rows import NO_KEY
from store.history.draws import Draw, Shares
from store.snapshots.learned import Learned
from store.splits.alike import few_of_each

TWO_SIDED_95 = 1.96


@dataclass(frozen=True, eq=False)
class Model:
    """What may serve: a fit, and what it learned from."""

    wanted: Wanted
    answers: FitAnswers
    known: int
    """Rows whose labels had come when it was made."""
    made: int = 0
    """Number of the period at whose end it was made, as its policy counts."""
    parent: Model | None = None
    """What it continued from."""
    is_taken_back: bool = False
    """Whether it serves again, as what replaced it was worse."""

    @property
    def challenger(self) -> ChallengerConfig:
        """What it is."""
        return self.wanted.challenger

    @property
    def train(self) -> Places:
        """Places of the rows that it learned from."""
        return self.wanted.train


@dataclass(frozen=True)
class Stage:
    """What policies are played on."""

    use_case: UseCase
    history: History
    periods: Periods
    fits: FitStore
    delay: int = 0
    """Periods that labels take to come."""

    @cached_property
    def shares(self) -> Shares:
        """Place in 0..1 of each row, by which rows are held out."""
        if self.history.shares is not None:
            return self.history.shares
        return Draw(f"seed {self.use_case.training.seed}").shares(self.history.rows)

    def known(self, period: int) -> int:
        """Rows whose labels have come when a period has ended."""
        return self.periods.bounds[max(period + 1 - self.delay, 0)]

    def fit(self, wanted: Wanted, known: int, *, made: int = 0, parent: Model | None = None) -> Model:
        """The model that a challenger makes of these rows."""
        return Model(wanted, self.fits.get(wanted), known, made, parent)

    def keep_version(self, model: Model) -> None:
        """See to it that a warm start can continue from a model."""
        if not self.fits.versions.has(self.fits.key(model.wanted)):
            if model.parent is not None:
                self.keep_version(model.parent)
            self.fits.keep_version(model.wanted)

    def keep_only(self, model: Model) -> None:
        """Delete what no warm start continues from any more."""
        self.fits.versions.keep_only(self.fits.key(model.wanted))

    def right(self, model: Model, period: int) -> NDArray[np.bool_]:
        """Which rows of a period the model answers rightly."""
        return model.answers.right(self.history, self.periods.rows(period))


def learned_of(stage: Stage, model: Model) -> Learned:
    """The rows that a model has learned from, by all that a row may be known by."""
    return learned_rows(stage, model.train)


def learned_rows(stage: Stage, places: Places) -> Learned:
    """Rows of the history, by all that a row may be known by."""
    rows = stage.history.rows.take(places)
    contents, groups = (np.unique(keys[keys != NO_KEY]) for keys in (rows.contents, rows.groups))
    return Learned(frozenset(rows.identities.tolist()), np.sort(rows.seq), contents, groups)


def usual_rows(stage: Stage, model: Model) -> Usual:
    """What the rows that a model has learned from are like."""
    rows = stage.history.rows.take(model.train)
    return usual_of(rows.columns, rows.labels)


def why_chosen(stage: Stage, usual: Usual, places: Places) -> str | None:
    """Why rows of the history seem to be chosen by their class; None where nothing shows it."""
    answering = stage.history.answering
    return chosen_by_class(
        stage.use_case,
        usual,
        stage.history.rows.labels[places].tolist(),
        answering=0 if answering is None else int(answering[places].sum()),
    )


def thinned(stage: Stage, usual: Usual, places: Places) -> Places:
    """The same, with few rows of those that are nearly alike."""
    columns = take(stage.history.rows.columns, places)
    return places[few_of_each(columns, usual.spreads, seed=stage.use_case.training.seed)]


class Policy(Protocol):
    """Says what serves."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What it decided so far, a sentence for each period."""
        ...

    def first(self, stage: Stage, known: int) -> Model:
        """What serves the first period that is played.

        Raises:
            ModelError: nothing can be made of so few rows.
        """
        ...

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        """What is to serve the period after this one, which has just ended; None: what serves already."""
        ...


@dataclass(frozen=True)
class Played:
    """How a policy did."""

    accuracy: float
    """Share of all played rows that were answered rightly before their labels came."""
    by_period: tuple[float, ...]
    """The same of each period."""
    promoted_at: tuple[int, ...]
    """Periods, counted from 0 among those played, that another model began to serve."""
    worse: int
    """Promotions after which the model that was replaced would have done better in the next period."""
    harmful: int
    """Those of them where chance does not explain it (paired, 95%, two-sided)."""
    harm: tuple[float, ...]
    """By how much each of those was worse, as a share of rows."""
    retrains: int
    rollbacks: int
    fit_seconds: float
    """Processor time of the fits that it asked for."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What was decided in each period, where the policy tells."""

    @property
    def promotions(self) -> int:
        """How often another model began to serve."""
        return len(self.promoted_at)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "accuracy": self.accuracy,
            "promotions": self.promotions,
            "worse": self.worse,
            "harmful": self.harmful,
            "rollbacks": self.rollbacks,
            "retrains": self.retrains,
            "fit_seconds": round(self.fit_seconds, 3),
            "seconds": round(self.seconds, 3),
            "by_period": list(self.by_period),
            "promoted_at": list(self.promoted_at),
            "harm": list(self.harm),
            "notes": list(self.notes),
        }


@dataclass
class _Tally:
    """What is counted while a policy is played."""

    right: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    promoted_at: list[int] = field(default_factory=list)
    worse: int = 0
    rollbacks: int = 0
    harm: list[float] = field(default_factory=list)

    def judge(self, new: NDArray[np.bool_], old: NDArray[np.bool_]) -> None:
        """Look back at a promotion by the period that followed."""
        differences = new.astype(float) - old
        loss = -float(differences.mean())
        if loss > 0:
            self.worse += 1
            error = (
                float(differences.std(ddof=1)) / math.sqrt(len(differences)) if len(differences) > 1 else 0
            )
            if loss > TWO_SIDED_95 * error:
                self.harm.append(loss)


def play(stage: Stage, policy: Policy, tell: Callable[[int], None] = lambda _period: None) -> Played:
    """Let a policy say what serves, period by period; each sees what was known when it had to decide.

    Args:
        tell: told of each period that has been played.
    """
    began = time.monotonic()
    tally, first = _Tally(), stage.periods.first
    production = policy.first(stage, stage.known(first - 1))
    for place, period in enumerate(stage.periods.played):
        if place:
            challenger = policy.next(stage, period - 1, production)
            if challenger is not None and challenger.answers is not production.answers:
                if challenger.is_taken_back:
                    tally.rollbacks += 1
                else:
                    tally.promoted_at.append(place)
                    tally.judge(stage.right(challenger, period), stage.right(production, period))
                production = challenger
        right = stage.right(production, period)
        tally.right.append(float(right.sum()))
        tally.rows.append(len(right))
        tell(period)
    made = stage.fits.asked_for
    return Played(
        accuracy=sum(tally.right) / sum(tally.rows),
        by_period=tuple(right / rows for right, rows in zip(tally.right, tally.rows, strict=True)),
        promoted_at=tuple(tally.promoted_at),
        worse=tally.worse,
        harmful=len(tally.harm),
        harm=tuple(tally.harm),
        retrains=len(made) - 1,
        rollbacks=tally.rollbacks,
        fit_seconds=sum(made.values()),
        seconds=time.monotonic() - began,
        notes=policy.notes,
    )


def answered(right: Mapping[int, NDArray[np.bool_]], seconds: float) -> Played:
    """How something did that learns row by row and has no promotions: by period, which rows were right."""
    rows = sum(len(one) for one in right.values())
    return Played(
        accuracy=float(sum(one.sum() for one in right.values())) / rows,
        by_period=tuple(float(one.mean()) for one in right.values()),
        promoted_at=(),
        worse=0,
        harmful=0,
        harm=(),
        retrains=0,
        rollbacks=0,
        fit_seconds=seconds,
        seconds=seconds,
    )
