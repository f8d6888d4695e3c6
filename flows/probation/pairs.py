"""Two versions on the same rows: what each is, and what the rows say of the later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from configs.schema import ProbationConfig
from features.pretrained.keeping import vectors_kept
from features.records.contract import RecordContract
from features.records.stored_records import check_stored
from flows.context import LoopContext
from flows.retrain.lineage import learned_by
from models.gate.answers import ask
from models.gate.sources import JudgedSources
from models.probation.evidence import Probation, row_losses, weigh_losses
from models.probation.sources import PairRows, carrying_source
from models.production import ledger
from models.production.artifact_digests import vouched_artifact
from models.production.contract import Version
from models.production.tags import SNAPSHOT_TAG
from models.versions.predictor import Predictor
from store.feedback.rows import FeedbackRows
from store.feedback.sources import deciding_sources, labels_before
from store.predictions.rows import newest_records
from store.snapshots.learned import AnyLearned
from store.snapshots.reach import Reach, find_reach
from store.sources.standings import read_sources

MOST_ASKED = 1_000
"""Newest answers whose records tell how often two versions differ."""


@dataclass(frozen=True)
class Contender:
    """A version that answers rows beside another."""

    version: Version
    predictor: Predictor
    learned: AnyLearned
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
    learned: AnyLearned,
) -> Probation:
    """What rows that neither has learned say of `now`; `held` where that rests on one source.

    Args:
        begun: which versions they are.
        learned: by `now`: whose labels most of that is of.
    """
    use_case = context.use_case
    if not len(rows):
        return begun
    with vectors_kept(context.settings.home):
        mine, theirs = ask(now, rows.columns), ask(before, rows.columns)
    losses, counts = row_losses(use_case.target, use_case.gate.metric, mine, theirs, rows.labels.tolist())
    weighed = weigh_losses(config, replace(begun, counts=counts), losses)
    if weighed.verdict != "worse":
        return weighed
    sources, newest = _sources(context, rows, learned, begun.before)
    pair = PairRows(
        losses,
        agrees=_same(theirs.labels, rows.labels),
        differs=~_same(theirs.labels, mine.labels),
        sources=sources,
        newest=newest,
        asked=_asked(context, now, before),
    )
    held = carrying_source(use_case, pair)
    return weighed if held is None else replace(weighed, verdict="held", why=held)


def _sources(
    context: LoopContext, rows: FeedbackRows, learned: AnyLearned, before: int
) -> tuple[JudgedSources, dict[str, int]]:
    """Whose labels rows have, and those of each source that came since the version before was made."""
    name, last = context.use_case.name, learned.last
    with context.connect() as conn:
        digest = (ledger.tags_of(conn, context.registry, name, before) or {}).get(SNAPSHOT_TAG)
        all_learned = labels_before(conn, name, last)
        sources = JudgedSources(
            deciding_sources(conn, name, rows.identities.tolist()),
            [one.name for one in read_sources(conn, name) if one.told == "release"],
            all_learned,
        )
        reach = None if digest is None else find_reach(conn, [digest])
        earlier = {} if reach is None else labels_before(conn, name, min(reach.last, last))
    return sources, {one: count - earlier.get(one, 0) for one, count in all_learned.items()}


def _asked(context: LoopContext, now: Predictor, before: Predictor) -> NDArray[np.bool_]:
    """On which of the records that were asked lately the two differ, shape (records,)."""
    use_case = context.use_case
    with context.connect() as conn:
        records = newest_records(conn, use_case.name, MOST_ASKED)
    checked = check_stored(RecordContract(use_case.record), records)
    if not len(checked.rows):
        return np.zeros(0, dtype=np.bool_)
    return ~_same(ask(now, checked.columns).labels, ask(before, checked.columns).labels)


def _same(some: Sequence[str], others: Sequence[str] | NDArray[np.object_]) -> NDArray[np.bool_]:
    """Where n labels are those of n others, shape (n,)."""
    same = np.array(some, dtype=object) == np.array(others, dtype=object)
    return np.asarray(same, dtype=np.bool_)
