"""Does the evidence against a version rest on what one source of labels says?

Whoever turns labels round, or sends those only that suit, makes the better version look the worse one. A
source carries the evidence where the labels of the others do not prove it too. Most sources that do are
honest: often one key sends all feedback. So it is asked who the source is, and whether its labels are like
those of the others and like what is asked of the versions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from configs.schema import UseCase
from models.gate.sources import CHANCE, FEWEST_TOLD, JudgedSources, Mask, stands_apart
from models.probation.evidence import crosses
from models.probation.wealth import Differences, log_wealth
from store.feedback.sources import has_name, root_of

APART = 0.01
"""That a source finds the version worse than the others do, and chance alone did it."""
TELLING = 4.0
"""What a bet on the labels of the others has come to, where they tell of a worse version as well."""
MOST = 0.5
"""Share of the labels that were learned: who sent so many is who usually sends them."""
FEWEST_ASKED = 50
"""Records that were asked lately, before it is looked at how often the versions differ there."""


@dataclass(frozen=True)
class PairRows:
    """What two versions answer to n rows that neither has learned, and who says what is right."""

    losses: Differences
    """By how much the version before did better on each row, shape (n,)."""
    agrees: Mask
    """Which of the labels the version before gives as well, shape (n,)."""
    differs: Mask
    """On which rows the two give different answers, shape (n,)."""
    sources: JudgedSources
    """Whose labels the rows have."""
    newest: Mapping[str, int] = field(default_factory=dict)
    """Labels of each source that were learned and had come since the version before was made."""
    asked: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    """On which of the records that were asked lately the two differ, whoever was answered what."""


def carrying_source(use_case: UseCase, pair: PairRows) -> str | None:
    """The source without which nothing is proven, and why a person must look; None: there is none."""
    if use_case.labels.most_loss is None:
        return None
    for name, rows in pair.sources.rows_of_each(pair.losses).items():
        if crosses(use_case.probation, pair.losses[~rows]):
            continue
        why = _against_others(use_case, pair, name, rows) or _unknown(use_case, pair, name, rows)
        why = why or _chosen(pair, name, rows)
        if why is not None:
            return _rests_on(use_case, name, why)
    return None


def _against_others(use_case: UseCase, pair: PairRows, name: str, rows: Mask) -> str | None:
    """Whether the labels of the others tell something else."""
    others, losses = ~rows, pair.losses
    if not others.any():
        return None
    is_asked = int(others.sum()) >= use_case.labels.min_judged
    if is_asked and losses[others].mean() < 0:
        return "by the labels of the others it is better"
    if is_asked and has_name(name) and stands_apart(use_case, pair.agrees, rows):
        own, rest = pair.agrees[rows].mean(), pair.agrees[others].mean()
        return f"the version before agrees with {own:.0%} of its labels and {rest:.0%} of the others"
    each = [[int(sign.sum()) for sign in (losses[some] > 0, losses[some] < 0)] for some in (rows, others)]
    sizes = int(rows.sum()), int(others.sum())
    of_all = [[worse, size - worse] for (worse, _), size in zip(each, sizes, strict=True)]
    if min(_chance(of_all), _chance(each)) >= APART:
        return None
    told = [f"worse on {worse} and better on {better}" for worse, better in each]
    return f"by its {sizes[0]} labels it is {told[0]}, by the {sizes[1]} of the others {told[1]}"


def _unknown(use_case: UseCase, pair: PairRows, name: str, rows: Mask) -> str | None:
    """Whether it is not who usually sends labels, where there are others at all."""
    sources, others = pair.sources, ~rows
    if _is_alone(pair, name, rows):
        return None
    own = _count(sources.learned, name)
    if own >= FEWEST_TOLD and max(_share(sources.learned, name), _share(pair.newest, name)) >= MOST:
        return None
    if not has_name(name) and not sources.is_stranger(name):
        return None
    of_others = pair.losses[others]
    others_tell_it = 2 * len(of_others) >= len(rows) and log_wealth(of_others) >= math.log(TELLING)
    if own >= use_case.labels.min_judged and others_tell_it:
        return None
    total = sum(sources.learned.values())
    return f"{own:,} of the {total:,} labels that it could learn from are of that source"


def _chosen(pair: PairRows, name: str, rows: Mask) -> str | None:
    """Whether its labels are for records on which the two differ, far more than those that are asked."""
    if _is_alone(pair, name, rows) or len(pair.asked) < FEWEST_ASKED:
        return None
    own, asked = pair.differs[rows], pair.asked
    counts = [[int(some.sum()), int((~some).sum())] for some in (own, asked)]
    if _chance(counts) >= CHANCE:
        return None
    return f"the two differ on {own.mean():.0%} of its records and {asked.mean():.0%} of those asked lately"


def _is_alone(pair: PairRows, name: str, rows: Mask) -> bool:
    """Whether nobody else has ever labelled what counts."""
    learned = pair.sources.learned
    return bool(rows.all()) and _count(learned, name) == sum(learned.values())


def _share(counts: Mapping[str, int], name: str) -> float:
    """Of all labels those of a source, or of a key or door with all of its own."""
    return _count(counts, name) / max(1, sum(counts.values()))


def _count(counts: Mapping[str, int], name: str) -> int:
    return sum(count for one, count in counts.items() if name in (one, root_of(one)))


def _chance(counts: list[list[int]]) -> float:
    """Fisher's exact test, one-sided: the first of two has so many more, by chance alone."""
    from scipy.stats import fisher_exact  # slow, and most of what imports this needs it not

    return float(fisher_exact(counts, alternative="greater").pvalue)


def _rests_on(use_case: UseCase, name: str, why: str) -> str:
    return (
        f"what speaks against it rests on one source, '{name}' ({why}); once a person has looked, `ratchet "
        f"sources release {use_case.name} {name}` or `ratchet sources hold {use_case.name} {name}`"
    )
