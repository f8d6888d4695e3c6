"""What one drift check found, told apart: data, answers, labels; and which of it calls for a retrain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from configs.schema import DriftPart
from models.drift.decision import DriftDecision, DriftVerdict


@dataclass(frozen=True)
class DriftFindings:
    """One decision for each part."""

    data: DriftDecision
    """Records, against those that production learned from."""
    answers: DriftDecision
    """What production says of recent records, against what it says of records held out from it."""
    labels: DriftDecision
    """True labels that came lately, against those of its snapshot."""
    retrain_on: tuple[DriftPart, ...]

    @property
    def parts(self) -> Mapping[DriftPart, DriftDecision]:
        """By name, in the order in which they are told."""
        return {"data": self.data, "answers": self.answers, "labels": self.labels}

    @property
    def drifted(self) -> tuple[DriftPart, ...]:
        """Parts that have moved."""
        return tuple(name for name, one in self.parts.items() if one.verdict == "drift")

    @property
    def verdict(self) -> DriftVerdict:
        """Whether anything has moved; where nothing has, what is said of the data."""
        return "drift" if self.drifted else self.data.verdict

    @property
    def calls_for_retrain(self) -> bool:
        """Whether a part has moved that a retrain is started for."""
        return any(name in self.retrain_on for name in self.drifted)

    @property
    def reason(self) -> str:
        """What moved, and what is known of each part."""
        if not self.drifted:
            told = [self.data.reason]
        else:
            told = [f"{_listed(self.drifted)} moved", f"data: {self.data.reason}"]
        for name in ("answers", "labels"):
            told.append(f"{name}: {self.parts[name].reason}")
        if self.drifted and not self.calls_for_retrain:
            told.append("no retrain is started for that alone (drift.retrain_on)")
        return "; ".join(told)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: those of the data, with the others under their names."""
        return {
            **self.data.as_dict(),
            "verdict": self.verdict,
            "reason": self.reason,
            "retrain": self.calls_for_retrain,
            "parts": {name: one.verdict for name, one in self.parts.items()},
            "answers": asdict(self.answers),
            "labels": asdict(self.labels),
        }


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
