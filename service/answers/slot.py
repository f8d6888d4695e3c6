"""A version that serves, and the place of a use case that versions come into and leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from models.production.incumbent import Standing
from models.versions.predictor import Predictor
from service.answers.pipeline import Beside, PredictPipeline, SharedResources
from service.answers.responders import ModelResponder
from service.http.exchange import Receive, Scope, may_be_json, read_body


@dataclass(frozen=True)
class VersionFacts:
    """What the registry says of a version beside its artifact."""

    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Postponed:
    """A version that could not be loaded for what the machine lacked, and is tried again."""

    problem: str
    failures: int
    """How often that was tried."""
    seconds: float
    """From the last try to the next."""
    due: float
    """When that is, by the monotonic clock."""
    next_try: datetime

    @property
    def is_due(self) -> bool:
        """Whether it is to be tried now."""
        return monotonic() >= self.due

    def describe(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"problem": self.problem, "failures": self.failures, "next_try": self.next_try.isoformat()}


class ServedVersion:
    """One loaded version; a request is read, answered and logged by the pipeline of one and the same."""

    def __init__(
        self,
        name: str,
        version: int,
        predictor: Predictor,
        facts: VersionFacts,
        shared: SharedResources,
        since: datetime,
        *,
        isolated: bool = False,
    ) -> None:
        self.name = name
        self.version = version
        self.predictor = predictor
        self.facts = facts
        self.since = since
        """When it was loaded, or began to serve here, whichever was last."""
        self.vouched = False
        """Whether the ledger was seen to know it by its digest."""
        self.responder = ModelResponder(predictor)
        self.pipeline = PredictPipeline(
            predictor.use_case, version, self.responder, shared, isolated=isolated
        )

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
            "members": [member.model_dump() for member in manifest.members],
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

    def __init__(
        self, name: str, untrained: Callable[[Mapping[int, str], Mapping[int, str]], Exception]
    ) -> None:
        """`untrained`: of versions that are refused, and that are postponed, each with the reason."""
        self.name = name
        self.current: ServedVersion | None = None
        self.previous: ServedVersion | None = None
        """Loaded, as it served here before."""
        self.standing: Standing | None = None
        """Of the one that serves; None where the ledger does not say, or could not be asked."""
        self.canary: ServedVersion | None = None
        """The version that is tried on a share of the requests."""
        self.refused: dict[int, str] = {}
        self.postponed: Mapping[int, Postponed] = {}
        """Versions that are to serve, and cannot be loaded yet."""
        self.canary_postponed: tuple[int, Postponed] | None = None
        """The same of the one that is to be tried."""
        self.problem: str | None = None
        """What is wrong with production itself, and what to do."""
        self.standby: PredictPipeline | None = None
        """Answers by the other links of a chain while no version serves."""
        self._untrained = untrained

    def serving(self) -> ServedVersion:
        """The version that serves now.

        Raises:
            Untrained: there is none yet.
        """
        current = self.current
        if current is None:
            raise self._lacking()
        return current

    @property
    def answering(self) -> PredictPipeline | None:
        """What answers requests now; None where nothing can."""
        current = self.current
        return self.standby if current is None else current.pipeline

    def is_full(self) -> bool:
        """Whether more waits for the model than it can answer soon."""
        pipeline = self.answering
        return pipeline is not None and (
            pipeline.batcher.is_full or (pipeline.pictures.waiting > 0 and pipeline.pictures.is_full)
        )

    def ensure_room(self) -> None:
        """See to it that a request would be answered soon, before anything of it is read.

        Raises:
            Overloaded: more waits already than the model can answer soon.
        """
        pipeline = self.answering
        if pipeline is not None and pipeline.batcher.is_full:
            raise pipeline.batcher.refusal()
        if pipeline is not None and pipeline.pictures.waiting:
            pipeline.pictures.ensure_room()

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

    def pipeline(self) -> PredictPipeline:
        """What answers requests now.

        Raises:
            Untrained: nothing can answer yet.
        """
        pipeline = self.answering
        if pipeline is None:
            raise self._lacking()
        return pipeline

    def _lacking(self) -> Exception:
        return self._untrained(self.refused, {one: told.problem for one, told in self.postponed.items()})

    def may_try(self, version: int) -> bool:
        """Whether a version may be loaded now, by all that became of it here before."""
        postponed = self.postponed.get(version)
        return version not in self.refused and (postponed is None or postponed.is_due)

    def postpone(self, version: int, postponed: Postponed) -> None:
        """Note that a version cannot be loaded yet."""
        self.postponed = {**self.postponed, version: postponed}

    def await_no_longer(self, version: int) -> None:
        """Forget that; it was loaded, or is refused."""
        self.postponed = {one: told for one, told in self.postponed.items() if one != version}

    def await_only(self, version: int | None) -> None:
        """Await this version and no other, or none: what is to serve does."""
        self.postponed = {one: told for one, told in self.postponed.items() if one == version}

    def try_beside(self, canary: ServedVersion | None, route: Beside | None) -> None:
        """Have a version answer some of the records beside the one that serves; None: none does."""
        self.canary = canary
        if self.current is not None:
            self.current.pipeline.beside = route

    def describe(self) -> dict[str, Any]:
        """The version that serves and how it stands, as plain values for JSON.

        Raises:
            Untrained: there is none yet.
        """
        described = self.serving().describe()
        if self.standing is not None:
            described["serving_since"] = self.standing.since.isoformat()
        return described | {"previous": self.version_before, "refused": self.refusals}

    @property
    def version_before(self) -> int | None:
        """What production would go back to."""
        return None if self.standing is None else self.standing.before

    @property
    def refusals(self) -> dict[str, str]:
        """Number of each version that is refused to the reason."""
        return {str(version): reason for version, reason in self.refused.items()}

    @property
    def postponements(self) -> dict[str, dict[str, Any]]:
        """Number of each version that cannot be loaded yet to what is known of that."""
        told = dict(self.postponed)
        if self.canary_postponed is not None:
            told.setdefault(*self.canary_postponed)
        return {str(version): postponed.describe() for version, postponed in told.items()}

    def drop(self) -> None:
        """Let what serves serve no more."""
        self.current = self.previous = self.canary = None

    def swap(self, served: ServedVersion, standing: Standing | None) -> None:
        """Let `served` answer, and keep the one before it loaded for an instant return.

        Args:
            standing: of `served`, as the ledger has it; None: not known.
        """
        self.try_beside(None, None)  # it was tried beside the version that leaves
        served.since = datetime.now(UTC)  # it may have been loaded long before, as a canary or to serve
        self.previous, self.current, self.standing = self.current, served, standing
        self.refused.pop(served.version, None)
        self.await_no_longer(served.version)
