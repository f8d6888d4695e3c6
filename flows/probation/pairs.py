"""Two versions on the same rows: what each is, and what the rows say of the later one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from configs.schema import ProbationConfig
from flows.context import LoopContext
from flows.retrain.lineage import learned_by
from models.gate.answers import ask
from models.gate.sources import JudgedSources
from models.probation.evidence import Probation, row_losses, weigh_losses
from models.probation.sources import carrying_source
from models.production.artifact_digests import vouched_artifact
from models.production.contract import Version
from models.production.tags import SNAPSHOT_TAG
from models.versions.predictor import Predictor
from store.feedback.rows import FeedbackRows
from store.feedback.sources import deciding_sources, labels_before
from store.snapshots.learned import Learned
from store.snapshots.reach import Reach, find_reach
from store.sources.standings import read_sources


@dataclass(frozen=True)
class Contender:
    """A version that answers rows beside another."""

    version: Version
    predictor: Predictor
    learned: Learned
    """The rows that it has learned from."""
    reach: Reach | None
    """Up to where its snapshot has read the feedback; None: nobody knows."""


def load_contender(context: LoopContext, number: int, *, actor: str) -> Contender:
    """A version as a server would load it.

    Raises:
        ModelError: it was deleted, or does not work here.
    """
    name = context.use_case.name
    with context.connect() as conn:
        version = context.registry.version(name, number)
        artifact = vouched_artifact(conn, context.registry, name, number, context.model_cache, actor=actor)
        predictor = Predictor.load(artifact)
        predictor.check_probe()
        learned = learned_by(conn, context.registry, version, context.use_case, context.settings.home)
        digest = version.tags.get(SNAPSHOT_TAG)
        reach = None if digest is None else find_reach(conn, [digest])
    return Contender(version, predictor, learned, reach)


def weigh_pair(
    context: LoopContext,
    config: ProbationConfig,
    begun: Probation,
    now: Predictor,
    before: Predictor,
    rows: FeedbackRows,
    learned: Learned,
) -> Probation:
    """What rows that neither has learned say of `now`; `held` where that rests on one source.

    Args:
        begun: which versions they are.
        learned: by `now`: whose labels most of that is of.
    """
    use_case = context.use_case
    if not len(rows):
        return begun
    mine, theirs = ask(now, rows.columns), ask(before, rows.columns)
    losses, counts = row_losses(use_case.target, use_case.gate.metric, mine, theirs, rows.labels.tolist())
    weighed = weigh_losses(config, replace(begun, counts=counts), losses)
    if weighed.verdict != "worse":
        return weighed
    agrees = np.array(theirs.labels, dtype=object) == rows.labels
    with context.connect() as conn:
        sources = JudgedSources(
            deciding_sources(conn, use_case.name, rows.identities.tolist()),
            [one.name for one in read_sources(conn, use_case.name) if one.told == "release"],
            labels_before(conn, use_case.name, int(learned.arrivals.max(initial=0))),
        )
    held = carrying_source(use_case, losses, np.asarray(agrees, dtype=np.bool_), sources)
    return weighed if held is None else replace(weighed, verdict="held", why=held)
