"""The canary of a use case, as the ledger has it: which version, against which, for whose requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from configs.schema import CanaryConfig
from models.probation.evidence import Probation
from models.production import ledger
from store.probation import StoredProbation, find_probation

CONFIG = "canary"
"""In the evidence of the row that began it: its configuration, which holds until it ends."""


@dataclass(frozen=True)
class Canary:
    """A version that is tried."""

    move: int
    """The row of the ledger that began it."""
    version: int
    against: int
    """Production, which answers all other requests."""
    since: datetime
    config: CanaryConfig
    evidence: Mapping[str, Any]
    """What the gate said of it, if it was asked."""
    run_id: UUID | None = None
    """The run that made it."""

    @property
    def until(self) -> datetime:
        """When it becomes production, however few labels have come."""
        return self.since + timedelta(hours=self.config.hours)

    @property
    def keys(self) -> str:
        """What its requests are drawn by, in words."""
        field = self.config.key
        return "the record's group, id or content" if field is None else f"the field '{field}'"


@dataclass(frozen=True)
class CanaryFacts:
    """How a canary stands, for status, page and HTTP."""

    version: int
    against: int
    share: float
    keys: str
    since: str
    until: str
    labels: int
    """Of records that neither has learned, so far."""
    most_labels: int
    verdict: str
    """`tried`; `held`: it is not made production before a person has looked."""
    probation: Mapping[str, Any] | None
    """The evidence of the labels (`models.probation.evidence`); None: nobody has looked yet."""
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def sentence_of(tried: Canary, seen: Probation | None) -> str:
    """For a person: what is tried and how it stands."""
    about = f"version {tried.version}"
    beside = f"beside version {tried.against}"
    told = {
        "taken_back": f"{about} was tried {beside} and taken back",
        "passed": f"{about} was tried {beside} and becomes production",
        "held": f"{about} is tried {beside}, and a person must look",
    }
    going_on = (
        f"{about} answers {100 * tried.config.share:.4g}% of the requests {beside}, by {tried.keys}, until "
        f"{tried.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC or {tried.config.labels:,} labels"
    )
    if seen is None:
        return going_on
    parts = [told.get(seen.verdict, going_on), *([] if seen.why is None else [seen.why])]
    return ": ".join(parts) if not seen.labels else f"{': '.join(parts)}; {seen.figures}"


def canary_facts(conn: psycopg.Connection[Any], use_case: str) -> CanaryFacts | None:
    """How the canary stood at the last look; None: nothing is tried."""
    tried = find_canary(conn, use_case)
    if tried is None:
        return None
    stored = find_probation(conn, tried.move)
    seen = None if stored is None else Probation.from_dict(stored.evidence)
    return CanaryFacts(
        version=tried.version,
        against=tried.against,
        share=tried.config.share,
        keys=tried.keys,
        since=tried.since.isoformat(),
        until=tried.until.isoformat(),
        labels=0 if seen is None else seen.labels,
        most_labels=tried.config.labels,
        verdict="held" if seen is not None and seen.verdict == "held" else "tried",
        probation=None if seen is None or stored is None else _told(stored, seen),
        sentence=sentence_of(tried, seen),
    )


def _told(stored: StoredProbation, seen: Probation) -> dict[str, Any]:
    """The evidence with the sentence that it has today."""
    return {**stored.evidence, **seen.as_dict(), "at": stored.looked_at.isoformat()}


def as_plain(facts: CanaryFacts | None) -> dict[str, Any] | None:
    """As plain values, for JSON."""
    return None if facts is None else facts.as_dict()


def find_canary(conn: psycopg.Connection[Any], use_case: str) -> Canary | None:
    """What is tried now; None: nothing is, for it has ended, or production has moved since it began."""
    last = ledger.newest(conn, use_case, ("canary", "canary_ended", *ledger.MOVES))
    if last is None or last.event != "canary" or last.to_version is None or last.from_version is None:
        return None
    config = CanaryConfig.model_validate(last.evidence[CONFIG])
    return Canary(last.id, last.to_version, last.from_version, last.at, config, last.evidence, last.run_id)
