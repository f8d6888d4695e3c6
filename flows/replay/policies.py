"""The policies that a replay compares: the loop as it is configured, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from configs.run_options import RunOptions
from configs.schema import ChallengerConfig, UseCase
from features.records.contract import take
from flows.replay.fits import Cut, Parent, Wanted
from flows.replay.history import Places
from flows.replay.playing import Model, Stage, learned_of, learned_rows, thinned, usual_rows, why_chosen
from flows.replay.probation import Watch
from flows.replay.shadows import Shadows
from flows.retrain.judging.deciding import judge_answers
from flows.retrain.training.plan import planned_challengers
from models.errors import NoChallenger
from models.gate.answers import JudgedAnswers
from models.gate.decision import best
from models.gate.limits.slices import find_slices
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.uses import HOLDOUT, TRAIN
from store.splits.records import same_records
from store.splits.sizes import holdout_now
from store.splits.splits import split_rows

FULL = ChallengerConfig(name="full")


@dataclass
class Never:
    """The first model serves for ever."""

    notes: tuple[str, ...] = ()

    def first(self, stage: Stage, known: int) -> Model:
        """Learned from all that is known at first."""
        return stage.fit(Wanted(FULL, np.arange(known)), known)

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        """The same."""
        del stage, period, production
        return None


@dataclass
class Always:
    """A new model after each period, whatever it is worth."""

    window: int | None = None
    """Periods that it learns from, the newest; None: all."""
    notes: tuple[str, ...] = ()

    def first(self, stage: Stage, known: int) -> Model:
        """Learned from all that is known at first."""
        return stage.fit(Wanted(FULL, np.arange(known)), known)

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        """Learned from all that is known by now, or from the newest of it."""
        del production
        return stage.fit(Wanted(FULL, self.train(stage, period)), stage.known(period))

    def train(self, stage: Stage, period: int) -> Places:
        """Places of the rows that it learns from when a period has ended."""
        begin = 0
        if self.window is not None:
            begin = stage.periods.bounds[max(period + 1 - stage.delay - self.window, 0)]
        return np.arange(begin, stage.known(period))


@dataclass
class Bound:
    """Knows the future: takes the best for the next period of new models and the one that serves."""

    pool: tuple[Always, ...]
    notes: tuple[str, ...] = ()

    def first(self, stage: Stage, known: int) -> Model:
        """As the others begin."""
        return stage.fit(Wanted(FULL, np.arange(known)), known)

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        """What answers most of the next period rightly."""
        models = [production, *(one.next(stage, period, production) for one in self.pool)]
        offered = [model for model in models if model is not None and model.answers.failure is None]
        return max(offered, key=lambda model: float(stage.right(model, period + 1).mean()))


@dataclass
class Loop:
    """The loop of a configuration: its split, its challengers, its gate."""

    use_case: UseCase
    told: list[str] = field(default_factory=list)
    tries: int = 0
    """Challengers judged against the production that serves."""

    def __post_init__(self) -> None:
        self.shadows = Shadows(self.use_case)
        self.watch = Watch(self.use_case)

    @property
    def notes(self) -> tuple[str, ...]:
        """The gate's reason for each period."""
        return tuple(self.told)

    def first(self, stage: Stage, known: int) -> Model:
        """The first model of the loop, which holds rows out as every later one does.

        Raises:
            NoChallenger: no challenger can be made.
        """
        self.shadows.end_period(stage, known, None)
        models, _ = self._challengers(stage, known, None)
        self.shadows.keep(models)
        name = next((name for name, model in models.items() if model.answers.failure is None), None)
        if name is None:
            raise NoChallenger({name: str(model.answers.failure) for name, model in models.items()})
        return models[name]

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        """What the gate promotes, if anything, or what served before, where production is proven worse."""
        known = stage.known(period)
        if (taken_back := self._taken_back(stage, known, production)) is not None:
            return taken_back
        self.shadows.end_period(stage, known, production)
        models, holdout = self._challengers(stage, known, production)
        made = {name: model for name, model in models.items() if model.answers.failure is None}
        self.shadows.keep(made)
        if not made or not len(holdout):
            self.told.append("no challenger, or no row to judge on")
            return None
        usual = usual_rows(stage, production)
        judged = thinned(stage, usual, holdout)
        judgement = judge_answers(
            self.use_case,
            _judged(stage, made, production, judged),
            labels_selected=why_chosen(stage, usual, judged),
            records=self.shadows.gains(made, production),
            tries=self.tries,
            newest=self.shadows.record.newest(stage.history.rows.seq[judged]),
            slices=find_slices(self.use_case, take(stage.history.rows.columns, judged)),
        )
        name = best(judgement.decisions)
        decision = judgement.decisions[name]
        self.told.append(f"{name}: {decision.outcome}: {decision.reason}")
        promoted = decision.verdict == "promote"
        self.tries = 0 if promoted else self.tries + 1
        if promoted:
            self.watch.begin(production)
            self.shadows.since = 0
        if self._warm:
            stage.keep_only(made[name] if promoted else production)
        return made[name] if promoted else None

    def _taken_back(self, stage: Stage, known: int, production: Model) -> Model | None:
        """What served before, where what came since proves production worse; no retrain follows then.

        A retrain would be skipped: what came by now brings nothing back.
        """
        seen = self.watch.look(stage, known, production)
        if seen is None or seen.verdict != "worse" or self.use_case.probation.action != "roll_back":
            return None
        self.told.append(f"taken back: {seen.figures}")
        self.tries = 0
        self.shadows.since = self.shadows.record.number
        return self.watch.take_back(known)

    def _challengers(
        self, stage: Stage, known: int, production: Model | None
    ) -> tuple[dict[str, Model], Places]:
        """What the challengers of a run are, by name, and the rows that they are judged on."""
        use_case, rows = self.use_case, stage.history.rows.take(slice(known))
        learned = NOTHING_LEARNED if production is None else learned_of(stage, production)
        if production is not None and production.is_taken_back:
            # What had come by the rollback is learned from, and brings nothing back.
            learned |= learned_rows(stage, np.arange(production.known))
        split = split_rows(
            holdout_now(use_case, has_production=production is not None),
            same_records(rows, {field.type for field in use_case.record.fields}, learned),
            seq=rows.seq,
            shares=stage.shares[:known],
            audited=None if stage.history.audited is None else stage.history.audited[:known],
            is_new=np.arange(known) >= (0 if production is None else production.known),
        )
        train, holdout = np.flatnonzero(split == TRAIN), np.flatnonzero(split == HOLDOUT)
        if len(train) < use_case.training.min_rows:
            return {}, holdout
        wanted = self._wanted(stage, train, production)
        stage.fits.prepare(wanted)
        made = self.shadows.record.number
        models = {one.challenger.name: stage.fit(one, known, made=made, parent=production) for one in wanted}
        return models, holdout

    @property
    def _warm(self) -> bool:
        """Whether what serves is continued from."""
        return any(one.fit == "warm" for one in self.use_case.training.challengers)

    def _wanted(self, stage: Stage, train: Places, production: Model | None) -> list[Wanted]:
        """The fits of a run; a warm start has learned what production had, and what is new to it."""
        planned = planned_challengers(self.use_case, "retrain", RunOptions(), production=None)
        record, keep = self.shadows.record, self._warm
        ages = record.ages(stage.history.rows.seq[train])
        wanted = []
        for one in planned:
            if one.fit == "full":
                weights = record.weights(one)
                cut = None if weights is None else Cut(ages, weights)
                wanted.append(Wanted(one, train, cut, is_kept=keep))
            elif production is not None:
                parent = Parent(stage.fits.key(production.wanted), production.train)
                learned = np.union1d(production.train, train)
                warm = Wanted(one, learned, parent=parent, is_kept=keep)
                if not stage.fits.has(warm):
                    stage.keep_version(production)
                wanted.append(warm)
        return wanted


def _judged(stage: Stage, models: dict[str, Model], production: Model, holdout: Places) -> JudgedAnswers:
    """What all said of the held-out rows."""
    parties = [*models.values(), production]
    return JudgedAnswers(
        labels=stage.history.rows.labels[holdout].tolist(),
        challengers={name: model.answers.to(holdout) for name, model in models.items()},
        production=production.answers.to(holdout),
        production_error=None,
        classes=list(dict.fromkeys(label for one in parties for label in one.answers.classes)),
        positive=stage.use_case.target.positive_of(parties[0].answers.classes),
    )
