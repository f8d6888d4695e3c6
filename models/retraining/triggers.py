"""Is a retrain due? Pure functions of counts, ages and drift checks; each trigger is one function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from configs.schema import RetrainConfig, TrainingConfig
from store.splits.sizes import labels_lacking

RetrainVerdict = Literal["retrain", "wait", "collect_labels"]

BRINGING_FORWARD = ("drift", "age")
"""Triggers that last: what they start once changes nothing of them when it promotes nothing."""
AGAIN_AFTER = 0.1
"""Share of all labels that ever came that must be new to every run before they start another.

Of those that there are it would be no bound: corrections are new, and make them no more."""


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to retrain now, and what is still needed when not."""

    verdict: RetrainVerdict
    trigger: str | None
    """What made it due: `first_model`, or a name in `TRIGGERS`."""
    reasons: tuple[str, ...]
    new_labels: int
    age: timedelta | None
    recommendation: str

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON; the age in days."""
        age = None if self.age is None else self.age.total_seconds() / 86_400
        return {**asdict(self), "reasons": list(self.reasons), "age": age}


@dataclass(frozen=True)
class Situation:
    """What triggers look at: production, and what has come since it was trained."""

    config: RetrainConfig
    new_labels: int
    """Those that came since production's snapshot."""
    untried_labels: int
    """Those of them that no run has tried to learn from."""
    age: timedelta
    """Of production."""
    drift: Sequence[bool]
    """The last drift checks, newest first; True where drift was found."""
    labels_ever: int = 0
    """All that ever came, what was corrected or taken back since among them."""
    was_brought_forward: bool = False
    """Whether drift or age have had their retrain since the version that serves has won."""

    @property
    def labels_awaited(self) -> int:
        """Labels that must come before drift or age bring forward another retrain."""
        if not self.was_brought_forward:
            return 0
        enough = max(self.config.min_labels, math.ceil(AGAIN_AFTER * self.labels_ever))
        return max(0, enough - self.untried_labels)


@dataclass(frozen=True)
class Finding:
    """What one trigger says of a situation."""

    due: bool
    reason: str
    """Why it is due, where it is."""
    needed: str
    """What would make it due, where it is not."""
    countable: bool = True
    """Whether one can count down to it; what may come at any time is named last."""


Trigger = Callable[[Situation], Finding | None]
"""One reason why a retrain may be due; None: the configuration does not use it."""


def by_labels(now: Situation) -> Finding | None:
    """Every so many labels that no run has tried."""
    every = now.config.every_labels
    if every is None:
        return None
    return Finding(
        due=now.untried_labels >= every,
        reason=f"{now.untried_labels} new labels; one retrain every {every}",
        needed=f"{every - now.untried_labels} more labels",
    )


def by_drift(now: Situation) -> Finding:
    """Drift in k of the last n checks, the newest among them, so that one odd hour starts nothing.

    As in databricks/mlops-stacks, metric_violation_check_query.
    """
    window = list(now.drift[: now.config.drift_windows])
    return Finding(
        due=bool(window) and window[0] and sum(window) >= now.config.drift_violations,
        reason=f"drift in {sum(window)} of the last {len(window)} checks, the newest among them",
        needed="sustained drift",
        countable=False,
    )


def by_age(now: Situation) -> Finding | None:
    """Production that is as old as the limit."""
    days = now.config.max_age_days
    if days is None:
        return None
    left = timedelta(days=days) - now.age
    return Finding(
        due=left <= timedelta(0),
        reason=f"production is {now.age.days} days old; the limit is {days:g}",
        needed=f"{max(1, math.ceil(left / timedelta(days=1)))} more days",
    )


TRIGGERS: Mapping[str, Trigger] = {"labels": by_labels, "drift": by_drift, "age": by_age}
"""By name, which the run then carries; where several make a retrain due, the first names it."""


def decide_retrain(
    config: RetrainConfig,
    *,
    new_labels: int,
    total_labels: int,
    training: TrainingConfig,
    age: timedelta | None,
    drift: Sequence[bool],
    untried_labels: int | None = None,
    was_brought_forward: bool = False,
    labels_ever: int | None = None,
) -> RetrainDecision:
    """Decide whether a retrain is due: whether it is possible, then whether a trigger of `TRIGGERS` wants it.

    Args:
        new_labels: labels that came since production's snapshot.
        total_labels: all labels of the use case.
        training: how many rows it needs at least, and how many are held out from it.
        age: of production; None when there is none.
        drift: the last drift checks, newest first; True where drift was found.
        untried_labels: of the new labels, those that no run has tried to learn from; None: all. A run that
            promoted nothing would come to the same again.
        was_brought_forward: whether drift or age have started a run since the version that serves has won.
            They start one, and then wait for a tenth of all labels that ever came.
        labels_ever: how many that is, what was corrected or taken back since among them; None: the total.
    """
    decided = partial(RetrainDecision, new_labels=new_labels, age=age)
    if lacking := labels_lacking(training, total_labels, new_labels):
        reason = _too_few(training, total_labels, total_labels + lacking)
        return decided("collect_labels", None, (reason,), recommendation=_more(lacking))
    if age is None:
        reason = "there is no production yet"
        return decided("retrain", "first_model", (reason,), recommendation="retrain now")
    untried = new_labels if untried_labels is None else untried_labels
    ever = total_labels if labels_ever is None else labels_ever
    return _ask_triggers(Situation(config, new_labels, untried, age, drift, ever, was_brought_forward))


def _ask_triggers(now: Situation) -> RetrainDecision:
    """What follows from what the triggers say that the configuration uses."""
    decided = partial(RetrainDecision, new_labels=now.new_labels, age=now.age)
    answers = {name: trigger(now) for name, trigger in TRIGGERS.items()}
    findings = {name: finding for name, finding in answers.items() if finding is not None}
    due = {name: finding.reason for name, finding in findings.items() if finding.due}
    reasons = tuple(due.values())
    if (missing := now.config.min_labels - now.new_labels) > 0:
        short = f"{now.new_labels} new labels; {now.config.min_labels} are needed before any retrain"
        return decided("collect_labels", None, (*reasons, short), recommendation=_more(missing))
    if due and now.untried_labels == 0:
        tried = "the last run learned from all labels, and promoted nothing"
        return decided("wait", None, (*reasons, tried), recommendation="need more labels")
    at_once = [name for name in due if not (now.labels_awaited and name in BRINGING_FORWARD)]
    if at_once:
        return decided("retrain", at_once[0], reasons, recommendation="retrain now")
    if due:
        had = f"the retrain that {' or '.join(BRINGING_FORWARD)} brought forward has promoted nothing"
        return decided("wait", None, (*reasons, had), recommendation=_more(_fewest_labels(now)))
    needed = _still_needed(findings.values())
    return decided("wait", None, ("nothing makes a retrain due", _why_not_labels(now)), recommendation=needed)


def _why_not_labels(now: Situation) -> str:
    """Why labels, however many are new, do not make one due."""
    every, tried = now.config.every_labels, now.new_labels - now.untried_labels
    if every is None:
        return f"{now.new_labels} new labels, and no number of them starts one (`retrain.every_labels`)"
    told = f"{now.untried_labels} of the {every} labels that start one (`retrain.every_labels`)"
    return f"{told}; {tried} more were tried by a run that promoted nothing" if tried else told


def _fewest_labels(now: Situation) -> int:
    """Labels that are needed at least where drift or age wait."""
    every = now.config.every_labels
    return now.labels_awaited if every is None else min(now.labels_awaited, every - now.untried_labels)


def _too_few(training: TrainingConfig, total: int, enough: int) -> str:
    about = "about " if training.holdout.by == "hash" else ""
    return (
        f"{total} labels in all; {about}{enough} leave the {training.min_rows} rows to learn from that "
        "training needs (`training.min_rows`), as some are held out to judge on (`training.holdout`)"
    )


def _more(labels: int) -> str:
    return f"need {labels} more labels"


def _still_needed(findings: Iterable[Finding]) -> str:
    countable_first = sorted(findings, key=lambda finding: not finding.countable)
    return "need " + " or ".join(finding.needed for finding in countable_first)
