"""The shadows of a replayed loop: challengers of earlier retrains, scored on what came after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from configs.schema import UseCase
from flows.replay.history import Places
from flows.replay.playing import Model, Stage, learned_rows, thinned, usual_rows, why_chosen
from models.shadows.evidence import RecordGain, Standing
from models.shadows.periods import Period
from models.shadows.record import Record
from models.shadows.scoring import MOST_ROWS, Serving, Shadow, score_period
from store.splits.records import unmet_rows


@dataclass
class Shadows:
    """Those kept, and the record that they have made."""

    use_case: UseCase
    record: Record = field(default_factory=Record)
    kept: list[Model] = field(default_factory=list)
    since: int = 0
    """Periods up to this one are not held for a recipe: production was taken back after it."""

    def end_period(self, stage: Stage, known: int, production: Model | None) -> None:
        """Score what has come by now, where enough rows have that nobody has learned from."""
        rows, periods = stage.history.rows, self.record.periods
        begin = periods[-1].last_seq if periods else 0
        places = np.flatnonzero((rows.seq > begin) & (np.arange(len(rows)) < known))
        fresh, doubt = self._fresh(stage, places), None
        if production is not None:
            usual = usual_rows(stage, production)
            fresh = thinned(stage, usual, fresh)
            doubt = why_chosen(stage, usual, fresh)
        if production is not None and len(fresh) < self.use_case.gate.min_rows:
            self.record = Record(periods)
            return
        serving = None
        if production is not None:
            serving = Serving(production.made, production.made, production.answers.to(fresh))
        period = score_period(
            self.use_case.target,
            Period(self.record.number + 1, int(rows.seq[known - 1]), doubt=doubt),
            rows.labels[fresh].tolist(),
            [_shadow(model, fresh, production) for model in self.kept],
            serving,
            metric=self.use_case.gate.metric,
        )
        self.record = Record((*periods, period), ends_now=True)

    def keep(self, models: Mapping[str, Model]) -> None:
        """Go on scoring these, and let the oldest go."""
        if self.record.ends_now:
            self.kept += models.values()
        oldest = self.record.number - self.use_case.gate.shadows.keep
        self.kept = [one for one in self.kept if one.made > oldest]

    def gains(self, names: Mapping[str, Model], production: Model) -> dict[str, RecordGain]:
        """By challenger, what its predecessors gained."""
        standing = Standing(production.made, production.challenger.name, production.made, self.since)
        return self.record.gains(self.use_case.gate, names, standing)

    def _fresh(self, stage: Stage, places: Places) -> Places:
        """One of each record among the rows of which nothing came before them."""
        met = learned_rows(stage, np.arange(places.min(initial=len(stage.history.rows))))
        types = {field.type for field in self.use_case.record.fields}
        rows, seed = stage.history.rows.take(places), self.use_case.training.seed
        return places[unmet_rows(rows, types, met, most=MOST_ROWS, seed=seed)]


def _shadow(model: Model, places: Places, production: Model | None) -> Shadow:
    members = {name: model.answers.to(places, name) for name in model.answers.members}
    serves = production is not None and model.answers is production.answers
    # No version has a number here; one is made in a period that may come to serve, so that does for it.
    version = model.made if serves else None
    return Shadow(model.challenger.name, model.made, model.answers.to(places), members, version)
