"""What is known of a version that was promoted, beside the version before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np

from configs.schema import ProbationConfig, TargetConfig
from models.metrics.shown import digits_for
from models.probation.wealth import Differences, log_wealth, rows_to_go
from models.shadows.scores import classes_of_both, row_rights, row_scores
from models.versions.predictor import Answers

Verdict = Literal["on_probation", "passed", "worse", "held", "taken_back", "not_compared"]
"""`worse`: it is taken back where that is configured; `held`: it would be, but a person must look first."""


@dataclass(frozen=True)
class Probation:
    """The evidence so far. A row is a record with its label that neither version has learned."""

    version: int
    before: int
    verdict: Verdict = "on_probation"
    labels: int = 0
    """Rows that count."""
    most_labels: int = 0
    """After so many it has passed."""
    counts: Literal["right answers", "Brier score"] = "right answers"
    """What a row is scored by: the share of right answers where the gate's metric is a mean over rows."""
    better: int = 0
    """Rows on which it did better than the version before."""
    worse: int = 0
    """Rows on which it did worse."""
    lost: float = 0.0
    """By how much the version before did better, a row."""
    wealth: float = 1.0
    """What a bet against it has come to (`models.probation.wealth`)."""
    line: float = 20.0
    """What that must come to before it is taken back: 1 over the chance of a false alarm, ever."""
    to_go: int | None = None
    """Labels like those so far until then; None: nothing speaks against it."""
    why: str | None = None
    """Why it is held, or not compared, or rows do not count."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`; what is not a part of it is passed over."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})

    @property
    def has_ended(self) -> bool:
        """Whether no more labels are looked at."""
        return self.verdict in ("passed", "taken_back")

    @property
    def sentence(self) -> str:
        """For a person: how it stands, then the figures."""
        told = {
            "on_probation": f"version {self.version} is watched beside version {self.before}",
            "passed": f"version {self.version} has passed: it is not worse than version {self.before}",
            "worse": f"version {self.version} is worse than version {self.before}",
            "held": f"version {self.version} seems worse than version {self.before}, and a person must look",
            "taken_back": f"version {self.version} was taken back, as it is worse than version {self.before}",
            "not_compared": f"version {self.version} cannot be held against version {self.before}",
        }[self.verdict]
        parts = [told, *([] if self.why is None else [self.why])]
        return ": ".join(parts) if not self.labels else f"{': '.join(parts)}; {self.figures}"

    @property
    def figures(self) -> str:
        """Rows, by how much it differs, and how far the line is."""
        rows = f"on {self.labels:,} labels since it was made it did better on {self.better:,} and worse on "
        told = f"{rows}{self.worse:,} ({self.difference}); {against_it(self.wealth, self.line)}"
        if self.verdict != "on_probation":
            return told
        if self.to_go is None:
            return f"{told}, and labels like these do not add to it"
        return f"{told}, reached after about {self.to_go:,} more labels like these"

    @property
    def difference(self) -> str:
        """How it differs from the version before, in a unit that a person can picture."""
        if self.counts == "right answers":
            digits = digits_for((100 * self.lost, 0), least=2)
            fewer = "fewer" if self.lost > 0 else "more"
            return f"{100 * abs(self.lost):.{digits}f} {fewer} right in 100 answers"
        way = "worse" if self.lost > 0 else "better"
        by = f"{abs(self.lost):.{digits_for((self.lost, 0))}f}"
        return f"{way} by {by} in mean Brier score, from 0 for right and sure to 1"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "sentence": self.sentence}


def row_losses(
    target: TargetConfig, metric: str, now: Answers, before: Answers, labels: Sequence[str]
) -> tuple[Differences, Literal["right answers", "Brier score"]]:
    """By how much the version before did better on each of n rows, shape (n,), -1 to 1; by which score."""
    classes = classes_of_both(now, before)
    mine, theirs = (row_rights(metric, target, one, labels, classes) for one in (now, before))
    if mine is not None and theirs is not None:
        return theirs - mine, "right answers"
    mine, theirs = (row_scores(target, one, labels, classes) for one in (now, before))
    return theirs - mine, "Brier score"


def weigh_losses(config: ProbationConfig, begun: Probation, losses: Differences) -> Probation:
    """The evidence of n rows: worse, passed, or still on probation.

    Args:
        losses: as from `row_losses`.
    """
    line = 1 / config.false_alarms
    logarithm = log_wealth(losses)
    weighed = replace(
        begun,
        labels=len(losses),
        most_labels=config.labels,
        better=int((losses < 0).sum()),
        worse=int((losses > 0).sum()),
        lost=float(losses.mean()) if len(losses) else 0.0,
        wealth=math.exp(min(logarithm, 700.0)),
        line=line,
        to_go=rows_to_go(losses, math.log(line)),
    )
    if logarithm >= math.log(line):
        return replace(weighed, verdict="worse")
    return replace(weighed, verdict="passed" if len(losses) >= config.labels else "on_probation")


def crosses(config: ProbationConfig, losses: Differences) -> bool:
    """Whether some rows by themselves prove that the version is worse."""
    return log_wealth(losses) >= math.log(1 / config.false_alarms)


def against_it(wealth: float, line: float) -> str:
    """What the evidence against a version has come to, beside what takes it back.

    >>> against_it(0.000003, 20.0)
    'evidence against it: 0.00 of the 20 that take it back'
    """
    return f"evidence against it: {short(wealth)} of the {line:.4g} that take it back"


def short(wealth: float) -> str:
    """Evidence with the digits that count; what is far beyond every line is not spelt out.

    >>> short(0.000003), short(4.4721), short(20.0), short(1234.5), short(1.3e11)
    ('0.00', '4.47', '20.0', '1,234', 'more than a million')
    """
    if wealth >= 1e6:
        return "more than a million"
    if wealth >= 100:
        return f"{np.round(wealth):,.0f}"
    return f"{wealth:.1f}" if wealth >= 10 else f"{wealth:.2f}"
