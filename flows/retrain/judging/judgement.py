"""What is known when challengers are judged, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from models.gate.answers import JudgedAnswers
from models.gate.comparison import Comparison
from models.gate.decision import GateDecision
from models.gate.limits.costs import Costs
from models.gate.limits.slices import Slice
from models.gate.sources import JudgedSources
from models.shadows.evidence import RecordGain


@dataclass(frozen=True)
class Judgement:
    """What the gate decided, and on what."""

    decisions: Mapping[str, GateDecision]
    """By name of the challenger."""
    answers: JudgedAnswers
    """Of every model to the judged rows."""
    compared: Comparison
    """Scores on the judged rows."""
    original: Comparison | None = None
    """The same on the rows that the original version was judged on."""
    warnings: tuple[str, ...] = ()
    """What to know of whose labels were judged on."""
    row_weights: NDArray[np.float64] | None = None
    """What each of the judged rows counted for, shape (n,); None: all count alike."""

    @property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """All metrics of each challenger on the judged rows."""
        return self.compared.scores

    @property
    def production_scores(self) -> Mapping[str, float] | None:
        """Those of production; None: there is none, or it does not answer."""
        return self.compared.production

    @property
    def rows(self) -> int:
        """How many rows were judged on."""
        return self.compared.rows

    @property
    def original_scores(self) -> dict[str, dict[str, float]]:
        """All metrics on the original rows of each challenger, and of `production`."""
        if self.original is None:
            return {}
        scores = {name: dict(one) for name, one in self.original.scores.items()}
        return {**scores, "production": dict(self.original.production or {})}


class Circumstances(TypedDict, total=False):
    """What is known of rows and production besides the answers."""

    production_error: str | None
    """Why production cannot be asked; it then counts as failed, and does not answer."""
    production_gone: str | None
    """Why production cannot be had at all, though it serves; nothing is promoted then."""
    labels_left_out: str | None
    """Why the rows say nothing of what production knows; nothing is promoted then."""
    labels_selected: str | None
    """Why the rows were chosen, and say nothing of others; nothing is promoted then."""
    row_weights: NDArray[np.float64] | None
    """What each row counts for, shape (n,); default 1."""
    training_labels: Callable[[], Sequence[str]]
    """Gives those of the rows that challengers learned from, for the majority class; default none."""
    sources: JudgedSources | None
    """Whose labels they are; a gain that rests on one source is held back."""
    records: Mapping[str, RecordGain]
    """By challenger, what its predecessors gained over what production is."""
    tries: int
    """How often challengers were judged against this production before."""
    newest: int
    """So many rows at the end are what may speak against a record; default all."""
    slices: Sequence[Slice]
    """Parts of the rows in which a challenger may not be worse."""
    costs: Mapping[str, Costs]
    """By challenger, what it costs where it serves."""
