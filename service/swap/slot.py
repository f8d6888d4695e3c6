"""A version that serves, and the place of a use case that versions come into and leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.versions.predictor import Predictor
from service.answers.desk import AnswerDesk, Workshop
from service.answers.responders import ModelTeller
from service.http.exchange import Receive, Scope, may_be_json, read_body


@dataclass(frozen=True)
class VersionFacts:
    """What the registry says of a version beside its artifact."""

    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class Live:
    """One loaded version. A request is read, answered and logged at the desk of one and the same `Live`."""

    def __init__(
        self,
        name: str,
        version: int,
        predictor: Predictor,
        facts: VersionFacts,
        workshop: Workshop,
        since: datetime,
    ) -> None:
        self.name = name
        self.version = version
        self.predictor = predictor
        self.facts = facts
        self.since = since
        self.vouched = False
        """Whether the ledger was seen to know it by its digest."""
        self.teller = ModelTeller(predictor)
        self.desk = AnswerDesk(predictor.use_case, version, self.teller, workshop)

    def describe(self) -> dict[str, Any]:
        """Version, lineage and metrics, as plain values for JSON."""
        manifest = self.predictor.manifest
        return {
            "name": self.name,
            "version": self.version,
            "serving_since": self.since.isoformat(),
            "classes": list(manifest.classes),
            "thresholds": dict(manifest.thresholds) or None,
            "estimator": manifest.estimator,
            "challenger": manifest.challenger,
            "fit": manifest.fit,
            "runtime": manifest.runtime,
            "parity": None if manifest.parity is None else manifest.parity.model_dump(),
            "training_rows": manifest.rows,
            "notes": list(manifest.notes),
            "created_at": manifest.created_at.isoformat(),
            "lineage": manifest.lineage.model_dump(),
            "registry": {
                "run_id": self.facts.run_id,
                "tags": dict(self.facts.tags),
                "metrics": dict(self.facts.metrics),
            },
        }


class Slot:
    """The place of one use case: the version that serves, the one before it, and those refused.

    Swapping is one assignment to `current`: requests read before it are answered by the version that
    read them, later ones by the new; no batch holds both.
    """

    def __init__(self, name: str, untrained: Callable[[Mapping[int, str]], Exception]) -> None:
        self.name = name
        self.current: Live | None = None
        self.previous: Live | None = None
        self.refused: dict[int, str] = {}
        self.problem: str | None = None
        """What is wrong with production itself, and what to do."""
        self.standby: AnswerDesk | None = None
        """Where the other links of a chain answer while no version serves."""
        self._untrained = untrained

    def serving(self) -> Live:
        """The version that serves now.

        Raises:
            Untrained: there is none yet.
        """
        current = self.current
        if current is None:
            raise self._untrained(self.refused)
        return current

    @property
    def answering(self) -> AnswerDesk | None:
        """Where requests are answered now; None where nothing can answer."""
        current = self.current
        return self.standby if current is None else current.desk

    def is_full(self) -> bool:
        """Whether more waits for the model than it can answer soon."""
        desk = self.answering
        return desk is not None and desk.batcher.is_full

    def ensure_room(self) -> None:
        """See to it that a request would be answered soon, before anything of it is read.

        Raises:
            Overloaded: more waits already than the model can answer soon.
        """
        desk = self.answering
        if desk is not None and desk.batcher.is_full:
            raise desk.batcher.refusal()

    async def read_with_room(
        self,
        scope: Scope,
        receive: Receive,
        limit: int,
        allows: Callable[[bytes], bool] = may_be_json,
        allowed: str = "application/json",
    ) -> bytes:
        """The body of a request for which there is room: before it is read, and before it is decoded."""
        self.ensure_room()
        body = await read_body(scope, receive, limit, allows, allowed)
        self.ensure_room()
        return body

    def desk(self) -> AnswerDesk:
        """Where requests are answered now.

        Raises:
            Untrained: nothing can answer yet.
        """
        desk = self.answering
        if desk is None:
            raise self._untrained(self.refused)
        return desk

    def drop(self) -> None:
        """Let what serves serve no more."""
        self.current = self.previous = None

    def swap(self, live: Live) -> None:
        """Let `live` serve, and keep the one before it loaded for an instant return."""
        self.previous, self.current = self.current, live
        self.refused.pop(live.version, None)
