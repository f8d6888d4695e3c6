"""Were labels sent for chosen answers? Those that have one are held against all answers of the same time.

If nobody chose, the labelled answers are drawn at random from all answers of the same version and time.
Whether they can be is tested by exact draws from those (permutation tests within strata: P. Good,
Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005): of what was answered, of its score, of
whether audited answers were avoided, and of whether labelled answers are as often right as the audited
ones, which nobody chose.

None of these sees that labels are of wrong answers, where scores know nothing of what is wrong and no
audited answer has a label. So it is looked at as well whether labelled answers are right much more seldom
than when production was judged, while all answers may be right as often as then: if those without a label
are (the upper bound of C. F. Manski, "Nonparametric bounds on treatment effects", American Economic Review
80, 1990). The world may have turned, or somebody chose: nothing in the labels can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.predictions.audits import ENOUGH

LEVEL = 0.0005
"""A difference that chance explains more often is none. There are five tests, so that at most one retrain in
400 is warned of for nothing."""
LEAST_DISTANCE = 0.1
"""A smaller difference, though certain, is told and changes nothing: of many answers some always differ."""
DRAWS = 3999
BLOCKS = 10
"""Of time, of as many answers each: traffic changes, and how much of it is labelled."""
SCORE_BINS = 20
MOST_LABELS = 20
"""Those answered most; the others are one together."""

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How far some answers are from all, and how often chance alone would bring them so far."""

    distance: float
    """0 to 1: the largest distance of the cumulated shares (scores), or half the sum of all (labels)."""
    chance: float
    shown: bool
    """Whether it is large, and chance does not explain it."""


@dataclass(frozen=True)
class Fall:
    """How often labelled answers are right, beside what was expected."""

    right: float | None
    """Share of right ones among labelled answers; None: none is labelled."""
    expected: float | None
    """The same when production was judged; None: not known."""
    most: float
    """Share of all answers that are right if those without a label are."""
    chance: float
    shown: bool
    """Whether labelled answers are worse, all may not be, and chance does not explain it."""


@dataclass(frozen=True)
class LabelSelection:
    """What the labels of answers are worth as evidence."""

    answers: int
    """Of the time that the labels speak of."""
    labelled: int
    audited: int
    audited_labelled: int
    scores: Difference
    labels: Difference
    avoided: Difference
    """Whether audited answers carry labels less often than others."""
    agreement: Difference
    """Whether labelled answers are right as often as labelled audited ones."""
    fall: Fall
    audited_right: float | None
    """Share of right ones among audited answers with a label."""
    others_right: float | None
    """The same of other answers with a label."""
    since: str | None = None
    """When the first of the answers was given (ISO 8601)."""
    others_held_out: int = 0
    """Rows to judge on that came in files and label no answer."""
    by_class: bool = False
    """Whether the rows to judge on hold hardly any of a class, which no audited answer mends."""

    @property
    def reasons(self) -> list[str]:
        """What shows that labels were chosen; empty: nothing does."""
        told = []
        if self.scores.shown:
            told.append(f"their scores are not those of all answers (distance {self.scores.distance:.2f})")
        if self.labels.shown:
            told.append(f"their answers are not those of all (distance {self.labels.distance:.2f})")
        if self.avoided.shown:
            counts = f"{self.audited_labelled} of {self.audited}"
            told.append(f"audited answers are avoided ({counts} have a label)")
        if self.agreement.shown:
            told.append(f"{self.others_right:.1%} are right, of the audited ones {self.audited_right:.1%}")
        if self.fall.shown:
            told.append(
                f"{self.fall.right:.1%} are right, {self.fall.expected:.1%} when production was judged; "
                f"of all answers up to {self.fall.most:.1%} may be"
            )
        return told

    @property
    def warning(self) -> str | None:
        """That labels may be selected, with figures; None: nothing shows it."""
        if not self.reasons:
            return None
        return f"labels may be selected: {self.figures}"

    @property
    def figures(self) -> str:
        """How many answers have labels, and what shows that these were chosen."""
        return ", ".join([f"{self.labelled} of {self.answers} answers have one", *self.reasons])

    @property
    def fell_for_all(self) -> bool:
        """Whether labels are doubted only as few answers are right, and of the audited ones as few are."""
        from scipy.stats import binom  # slow, and most of what imports this needs it not

        fall, audited = self.fall, self.audited_right
        if not fall.shown or len(self.reasons) > 1 or not self.audits_are_enough:
            return False
        if fall.expected is None or audited is None or fall.expected - audited < LEAST_DISTANCE:
            return False
        hits = round(audited * self.audited_labelled)
        return bool(binom.cdf(hits, self.audited_labelled, fall.expected) <= LEVEL)

    @property
    def audits_are_enough(self) -> bool:
        """Whether so many audited answers have labels that these were not chosen again."""
        return self.audited > 0 and self.audited_labelled >= ENOUGH * self.audited

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"warning": self.warning}


def weigh_selection(
    labels: NDArray[np.object_],
    scores: NDArray[np.float64],
    origins: NDArray[np.object_],
    labelled: Mask,
    correct: Mask,
    audited: Mask,
    *,
    expected: float | None,
    seed: int,
) -> LabelSelection:
    """Hold the labelled ones of n answers, oldest first, against all of them.

    Args:
        labels: what was answered.
        scores: its score; NaN where there is none.
        origins: who answered; answers of different ones are never compared.
        labelled: which have a true label.
        correct: which of these are right.
        audited: which are of the audit sample; they are labelled by request, so they are told apart.
        expected: share of right answers when production was judged; None: not known.
    """
    strata = _strata(origins)
    others, random = ~audited, np.random.default_rng(seed)
    is_audited = audited[labelled].astype(np.int64)
    return LabelSelection(
        answers=len(labels),
        labelled=int(labelled.sum()),
        audited=int(audited.sum()),
        audited_labelled=int((audited & labelled).sum()),
        scores=_differ(_bins(scores)[others], labelled[others], strata[others], _largest_step, random),
        labels=_differ(_codes(labels)[others], labelled[others], strata[others], _half_sum, random),
        avoided=_avoided(audited, labelled, strata, random),
        agreement=_differ(
            correct[labelled].astype(np.int64), is_audited == 1, strata[labelled], _half_sum, random
        ),
        fall=_fall(labelled, correct, expected),
        audited_right=_share(correct[audited & labelled]),
        others_right=_share(correct[others & labelled]),
    )


def _avoided(audited: Mask, labelled: Mask, strata: Codes, random: np.random.Generator) -> Difference:
    """Only too few labels among audited answers are a sign: more of them were asked for."""
    found = _differ(labelled.astype(np.int64), audited, strata, _half_sum, random)
    fewer = bool(audited.any() and labelled[audited].mean() < labelled.mean())
    return Difference(found.distance, found.chance, found.shown and fewer)


def _fall(labelled: Mask, correct: Mask, expected: float | None) -> Fall:
    """Nobody knows of the others; so they count as right."""
    from scipy.stats import binom  # slow, and most of what imports this needs it not

    count, hits = int(labelled.sum()), int(correct.sum())
    most = 1 - (count - hits) / max(1, len(labelled))
    if count == 0 or expected is None:
        return Fall(_share(correct[labelled]), expected, most, 1.0, shown=False)
    right, chance = hits / count, float(binom.cdf(hits, count, expected))
    is_far = expected - right >= LEAST_DISTANCE and most > expected - LEAST_DISTANCE
    return Fall(right, expected, most, chance, chance <= LEVEL and is_far)


def _differ(
    cells: Codes,
    chosen: Mask,
    strata: Codes,
    distance: Callable[[Counts], Counts],
    random: np.random.Generator,
) -> Difference:
    """How far the chosen ones among n answers are from what drawing as many of each stratum would give."""
    count = int(chosen.sum())
    if count == 0 or count == len(chosen):
        return Difference(0.0, 1.0, False)
    width = int(cells.max()) + 1
    drawn, expected = np.zeros((DRAWS, width)), np.zeros(width)
    for stratum in np.unique(strata):
        inside = strata == stratum
        totals, wanted = np.bincount(cells[inside], minlength=width), int(chosen[inside].sum())
        drawn += random.multivariate_hypergeometric(totals, wanted, size=DRAWS)
        expected += totals * (wanted / totals.sum())
    measured = float(
        distance((np.bincount(cells[chosen], minlength=width) - expected)[np.newaxis] / count)[0]
    )
    by_chance = distance((drawn - expected) / count)
    chance = (1 + int((by_chance >= measured - 1e-12).sum())) / (DRAWS + 1)
    return Difference(round(measured, 4), chance, chance <= LEVEL and measured >= LEAST_DISTANCE)


def _largest_step(surplus: Counts) -> Counts:
    """Kolmogorov and Smirnov's distance, of surplus shares of cells in order (r, k)."""
    steps: Counts = np.abs(np.cumsum(surplus, axis=1)).max(axis=1)
    return steps


def _half_sum(surplus: Counts) -> Counts:
    """Total variation, of surplus shares of cells (r, k)."""
    half: Counts = np.abs(surplus).sum(axis=1) / 2
    return half


def _strata(origins: NDArray[np.object_]) -> Codes:
    """A number for who answered and when."""
    _, who = np.unique(origins.astype(str), return_inverse=True)
    block = np.arange(len(origins)) * BLOCKS // max(1, len(origins))
    return np.asarray(who * BLOCKS + block, dtype=np.int64)


def _bins(scores: NDArray[np.float64]) -> Codes:
    """Scores by the bin of equal counts that they fall in; those that are missing in one of their own."""
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return np.zeros(len(scores), dtype=np.int64)
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, SCORE_BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, scores, side="right")
    return np.where(np.isfinite(scores), codes, len(edges) + 1).astype(np.int64)


def _codes(labels: NDArray[np.object_]) -> Codes:
    """Labels by number, those given most often first."""
    _, codes, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.minimum(rank[codes], MOST_LABELS - 1)


def _share(values: Mask) -> float | None:
    return float(values.mean()) if values.size else None
