"""The chain of one use case in a server: which version stands behind each link, kept as aliases move."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

from configs.schema import ChainLink, UseCase
from features.records.contract import Columns
from models.chain.chain import Chain, Link, Model, make_chain
from models.errors import RegistryUnavailable
from models.passing_faults import is_passing
from models.production.contract import Alias, RegistryReader, link_alias
from models.versions.predictor import Predictor
from service.answers.pipeline import PredictPipeline, SharedResources
from service.answers.responders import ChainResponder, LinkedChain, ModelResponder
from service.answers.slot import Postponed, ServedVersion, Slot
from service.swap.loading import Loader
from service.swap.postponing import postpone
from service.watchdog.activity import ANSWERING, ActivityMarks

PRODUCTION: Alias = "production"
log = logging.getLogger("ratchet.service")


@dataclass(frozen=True)
class LinkVersion:
    """What stands behind a link."""

    version: int | None = None
    predictor: Predictor | None = None
    problem: str | None = None
    """Why the version that the link names does not answer."""
    refused: int | None = None
    """That version, where the one before goes on in its place."""
    postponed: tuple[int, Postponed] | None = None
    """That version, where it only cannot be loaded yet."""


MISSING = LinkVersion()


@dataclass(frozen=True)
class LinkModel(Model):
    """A version behind a link, marked as what runs while it is asked, so that what it does is no other's."""

    owner: str
    """Its use case."""
    version: int
    marks: ActivityMarks

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        """Its labels and scores."""
        with self.marks.amid(ANSWERING, self.owner, self.version):
            return super().answer(columns)


class Links:
    """Keeps the chain of one use case.

    The version that serves has its place in the chain and is swapped without asking for the others;
    those are looked up and loaded by `refresh`, afterwards.
    """

    def __init__(
        self,
        use_case: UseCase,
        slots: Mapping[str, Slot],
        reader: RegistryReader,
        loader: Loader,
        shared: SharedResources,
    ) -> None:
        chain = make_chain(use_case, lambda _link: None)
        assert chain is not None and use_case.chain is not None
        self._use_case = use_case
        self._slots = slots
        self._reader = reader
        self._loader = loader
        self._shared = shared
        self._out_of_scope = use_case.chain.out_of_scope
        self._links = tuple(zip(use_case.chain.links, chain.links, strict=True))
        self._versions: dict[str, LinkVersion] = {}
        self.pipelines: WeakSet[PredictPipeline] = WeakSet()
        """Those that answer by this chain, or did and still run."""
        self.ever_asked: set[tuple[str, int]] = set()
        """Use case and number of all versions that links have asked."""

    @property
    def owners(self) -> set[str]:
        """Use cases whose versions are asked, beside the one that serves."""
        return {self._owner(config) for config, link in self._links if self._is_looked_up(config, link)}

    @property
    def asked(self) -> set[tuple[str, int]]:
        """Use case and number of those versions that are loaded."""
        return {
            (model.owner, model.version)
            for link in self._with_versions(None)
            if isinstance(model := link.answerer, LinkModel)
        }

    def join(self, served: ServedVersion) -> None:
        """Let a version answer from its place in the chain."""
        served.pipeline.responder = self._responder(served.responder, served.version)
        self.pipelines.add(served.pipeline)

    def place(self) -> None:
        """Let the use case answer with the links as they are now."""
        slot = self._slots[self._use_case.name]
        if slot.canary is not None:
            self.join(slot.canary)
        if slot.current is not None:
            self.join(slot.current)
        elif all(link.answerer is None for link in self._with_versions(None)):
            slot.standby = None
        elif slot.standby is None:
            slot.standby = PredictPipeline(self._use_case, None, self._responder(None, None), self._shared)
            self.pipelines.add(slot.standby)
        else:
            slot.standby.responder = self._responder(None, None)

    def refresh(self) -> None:
        """Look which versions the links name, load those that moved, and answer with them.

        Raises:
            RegistryUnavailable: nobody can say; the links stay as they are.
        """
        versions = {link.name: self._look(config, link) for config, link in self._links}
        if versions != self._versions:
            self._versions = versions
            self.ever_asked |= self.asked
            self.place()

    def give_up(self, owner: str, version: int, error: Exception) -> None:
        """Ask a version no more that did harm, until its link names another, or it is announced anew."""
        for config, link in self._links:
            before = self._versions.get(link.name, MISSING)
            if self._owner(config) == owner and before.version == version and before.predictor is not None:
                log.error("version %d of %s does not serve as link %s: %s", version, owner, link.name, error)
                problem = f"{type(error).__name__}: {error}"
                self._versions[link.name] = replace(before, predictor=None, problem=problem)
        self.place()

    def try_anew(self, owner: str, version: int) -> None:
        """Have `refresh` load a version that was announced, whatever is held against it."""
        for config, link in self._links:
            before = self._versions.get(link.name, MISSING)
            if self._owner(config) == owner and before.refused == version:
                self._versions[link.name] = replace(before, refused=None)
            elif self._owner(config) == owner and before.version == version and before.predictor is None:
                self._versions[link.name] = MISSING

    def describe(self) -> list[dict[str, Any]]:
        """Each link, and how it stands."""
        current = self._slots[self._use_case.name].current
        entries = []
        for config, link in self._links:
            link_version = self._versions.get(link.name, MISSING)
            if _serves(config) and current is not None:
                link_version = LinkVersion(current.version, current.predictor)
            ready = link.answerer is not None or link_version.predictor is not None
            awaited = "refused" if link_version.postponed is None else "postponed"
            state = "ready" if ready else "missing" if link_version.problem is None else awaited
            entry = {"name": link.name, "state": state, "version": link_version.version}
            entries.append(
                entry if link_version.problem is None else entry | {"problem": link_version.problem}
            )
        return entries

    def _look(self, config: ChainLink, link: Link) -> LinkVersion:
        """What stands behind a link that is no keywords, and not the version that serves."""
        if not self._is_looked_up(config, link):
            return MISSING
        owner, alias = self._owner(config), _alias(config)
        version = self._reader.alias_version(owner, alias)
        before = self._versions.get(link.name, MISSING)
        if version is None:  # production is not taken away; its alias was
            return before if alias == PRODUCTION else MISSING
        if version == before.refused:
            return before
        postponed = before.postponed if before.postponed and before.postponed[0] == version else None
        if postponed is not None and not postponed[1].is_due:
            return before
        if postponed is None and version == before.version:
            # Where another was refused meanwhile, or postponed, the link names that no more.
            return before if before.problem is None or before.predictor is None else _without_problem(before)
        try:
            return LinkVersion(
                version, self._loaded(owner, version) or self._loader.predictor(owner, version)
            )
        except RegistryUnavailable:
            raise
        except Exception as error:
            log.exception("version %d of %s does not serve as link %s", version, owner, link.name)
            problem = f"{type(error).__name__}: {error}"
            if is_passing(error):
                awaited = version, postpone(error, None if postponed is None else postponed[1])
                kept = LinkVersion(version) if before.predictor is None else before
                return replace(kept, problem=problem, refused=None, postponed=awaited)
            if before.predictor is None:
                return LinkVersion(version, None, problem)
            return replace(before, problem=problem, refused=version, postponed=None)

    def _owner(self, config: ChainLink) -> str:
        return config.use_case or self._use_case.name

    def _is_looked_up(self, config: ChainLink, link: Link) -> bool:
        """Whether a link is neither keywords nor the version that serves."""
        return link.answerer is None and not _serves(config)

    def _loaded(self, owner: str, version: int) -> Predictor | None:
        """A version that serves here, or did so last."""
        slot = self._slots.get(owner)
        for served in (slot.current, slot.previous) if slot is not None else ():
            if served is not None and served.version == version and served.vouched:
                return served.predictor
        return None

    def _responder(self, model: ModelResponder | None, version: int | None) -> ChainResponder:
        predictor = None if model is None else model.predictor
        versions = {link.name: self._versions.get(link.name, MISSING).version for _, link in self._links}
        versions |= {link.name: version for config, link in self._links if _serves(config)}
        linked = LinkedChain(
            whole=Chain(self._with_versions(predictor), self._out_of_scope),
            rest=Chain(self._with_versions(None), self._out_of_scope),
            head_serves=_serves(self._links[0][0]),
            versions=versions,
        )
        return ChainResponder(linked, model, version)

    def _with_versions(self, serving: Predictor | None) -> Sequence[Link]:
        """The links with what is loaded, and `serving` in the place of the version that serves."""
        links = []
        for config, link in self._links:
            model = None if serving is None else Model(serving)
            if not _serves(config):
                model = self._model(self._owner(config), self._versions.get(link.name, MISSING))
            links.append(link if model is None else replace(link, answerer=model))
        return links

    def _model(self, owner: str, link_version: LinkVersion) -> Model | None:
        predictor, version = link_version.predictor, link_version.version
        if predictor is None or version is None:
            return None
        return LinkModel(predictor, owner, version, self._shared.marks)


def _without_problem(link_version: LinkVersion) -> LinkVersion:
    return replace(link_version, problem=None, refused=None, postponed=None)


def _alias(config: ChainLink) -> Alias:
    """What names the version of a link."""
    return config.alias or (PRODUCTION if config.challenger is None else link_alias(config.challenger))


def _serves(config: ChainLink) -> bool:
    """Whether a link stands for the version that serves."""
    return config.alias == PRODUCTION
