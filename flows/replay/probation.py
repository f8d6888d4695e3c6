"""The probation of a replayed loop: what was promoted last, beside what served before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from configs.schema import UseCase
from flows.replay.history import Places
from flows.replay.playing import Model, Stage, learned_of, thinned, usual_rows, why_chosen
from models.probation.evidence import Probation, row_losses, weigh_losses
from store.splits.records import unmet_rows


@dataclass
class Watch:
    """The last promotion, as long as it is watched."""

    use_case: UseCase
    before: Model | None = None
    """What served before it."""

    def begin(self, before: Model) -> None:
        """Another model serves from now on."""
        self.before = before if self.use_case.probation.labels else None

    def look(self, stage: Stage, known: int, production: Model) -> Probation | None:
        """What the labels since production was made say of it; None: it is not watched, or nothing came."""
        if self.before is None:
            return None
        places = self._rows(stage, known, production, self.before)
        if not len(places):
            return None
        mine, theirs = production.answers.to(places), self.before.answers.to(places)
        labels = stage.history.rows.labels[places].tolist()
        metric = self.use_case.gate.metric
        losses, counts = row_losses(self.use_case.target, metric, mine, theirs, labels)
        begun = Probation(production.made, self.before.made, counts=counts)
        seen = weigh_losses(self.use_case.probation, begun, losses)
        if seen.verdict == "passed":
            self.before = None
        return seen

    def take_back(self, known: int) -> Model:
        """What served before serves again; only what comes from now on can replace it."""
        assert self.before is not None
        before, self.before = self.before, None
        return replace(before, known=known, is_taken_back=True)

    def _rows(self, stage: Stage, known: int, production: Model, before: Model) -> Places:
        """Those that came since, of records that neither has learned; none where labels seem to be chosen."""
        places, use_case = np.arange(production.known, known), self.use_case
        learned = learned_of(stage, production) | learned_of(stage, before)
        types = {field.type for field in use_case.record.fields}
        rows, seed = stage.history.rows.take(places), use_case.training.seed
        fresh = places[unmet_rows(rows, types, learned, most=max(1, len(rows)), seed=seed)]
        usual = usual_rows(stage, production)
        fresh = np.sort(thinned(stage, usual, fresh))
        chosen = why_chosen(stage, usual, fresh) is not None
        return fresh[:0] if chosen else fresh[: use_case.probation.labels]
