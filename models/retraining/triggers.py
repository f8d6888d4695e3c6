"""Is a retrain due? A pure function of counts, ages and drift checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from configs.schema import RetrainConfig

RetrainVerdict = Literal["retrain", "wait", "collect_labels"]


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to retrain now, and what is still needed when not."""

    verdict: RetrainVerdict
    trigger: str | None
    """What made it due: first_model, labels, drift or age."""
    reasons: tuple[str, ...]
    new_labels: int
    age: timedelta | None
    recommendation: str

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON; the age in days."""
        age = None if self.age is None else self.age.total_seconds() / 86_400
        return {**asdict(self), "reasons": list(self.reasons), "age": age}


def decide_retrain(
    config: RetrainConfig,
    *,
    new_labels: int,
    total_labels: int,
    min_rows: int,
    age: timedelta | None,
    drift: Sequence[bool],
    untried_labels: int | None = None,
) -> RetrainDecision:
    """Decide whether a retrain is due.

    The drift rule asks for k violations among the last n checks, the newest among them
    (databricks/mlops-stacks, metric_violation_check_query), so that one odd hour starts nothing.

    Args:
        new_labels: labels that came since production's snapshot.
        total_labels: all labels of the use case.
        min_rows: rows that training needs at least.
        age: of production; None when there is none.
        drift: the last drift checks, newest first; True where drift was found.
        untried_labels: of the new labels, those that no run has tried to learn from; None: all. A run that
            promoted nothing would come to the same again.
    """
    untried = new_labels if untried_labels is None else untried_labels

    def decided(
        verdict: RetrainVerdict, trigger: str | None, reasons: Sequence[str], recommendation: str
    ) -> RetrainDecision:
        return RetrainDecision(verdict, trigger, tuple(reasons), new_labels, age, recommendation)

    if total_labels < min_rows:
        missing = min_rows - total_labels
        reason = f"{total_labels} labels in all; training needs {min_rows}"
        return decided("collect_labels", None, [reason], f"need {missing} more labels")
    if age is None:
        return decided("retrain", "first_model", ["there is no production yet"], "retrain now")
    window = list(drift[: config.drift_windows])
    sustained = bool(window) and window[0] and sum(window) >= config.drift_violations
    limit = None if config.max_age_days is None else timedelta(days=config.max_age_days)
    due = {
        "labels": config.every_labels is not None and untried >= config.every_labels,
        "drift": sustained,
        "age": limit is not None and age >= limit,
    }
    said = {
        "labels": f"{untried} new labels; one retrain every {config.every_labels}",
        "drift": f"drift in {sum(window)} of the last {len(window)} checks, the newest among them",
        "age": f"production is {age.days} days old; the limit is {config.max_age_days:g}"
        if config.max_age_days is not None
        else "",
    }
    reasons = [said[name] for name, is_due in due.items() if is_due]
    if new_labels < config.min_labels:
        missing = config.min_labels - new_labels
        short = f"{new_labels} new labels; {config.min_labels} are needed before any retrain"
        return decided("collect_labels", None, [*reasons, short], f"need {missing} more labels")
    if reasons and untried == 0:
        reasons.append("the last run learned from all labels, and promoted nothing")
        return decided("wait", None, reasons, "need more labels")
    if reasons:
        return decided("retrain", next(name for name in due if due[name]), reasons, "retrain now")
    return decided("wait", None, ["nothing makes a retrain due"], _still_needed(config, untried, age, limit))


def _still_needed(config: RetrainConfig, untried: int, age: timedelta, limit: timedelta | None) -> str:
    needs = []
    if config.every_labels is not None:
        needs.append(f"{config.every_labels - untried} more labels")
    if limit is not None:
        needs.append(f"{max(1, math.ceil((limit - age) / timedelta(days=1)))} more days")
    needs.append("sustained drift")
    return "need " + " or ".join(needs)
