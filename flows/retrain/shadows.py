"""Challengers of earlier retrains: asked about the rows that came since, before anybody learns from these.

Their copies lie in `<home>/shadows/<use case>/<period>/<challenger>`; one that is damaged or not there is
fetched from MLflow. One that cannot be asked any more is left out, and said so.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from features.records.contract import Columns
from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.production import Production
from flows.retrain.protection import Protection, doubt_of_labels
from flows.retrain.tracking import Logged
from flows.retrain.training.challenger import NO_RECORD, Trained
from models.errors import ModelError, RegistryUnavailable
from models.gate.answers import ask
from models.production import ledger
from models.production.tags import CHALLENGER_TAG, RUN_TAG
from models.shadows.copies import copies_of_others, keep_copy, shadow_folder, whole_copy
from models.shadows.evidence import RecordGain, Standing
from models.shadows.periods import Period
from models.shadows.recipes import recipe_digest
from models.shadows.record import Record
from models.shadows.scoring import MOST_ROWS, Serving, Shadow, score_period
from models.versions.artifact import artifact_digest
from models.versions.members import load_members
from models.versions.predictor import Answers, Predictor
from store.feedback.rows import FeedbackRows
from store.feedback.sources import deciding_sources, held_sources
from store.runs import lifecycle
from store.samples.unmet import read_unmet
from store.shadows import StoredPeriod, StoredShadow, add_period, kept_shadows, read_periods
from store.snapshots.index import Snapshot
from store.snapshots.learned_snapshots import learned_until
from store.splits.alike import few_of_each

log = logging.getLogger("ratchet.shadows")


NOBODY = Standing(None, None, None)
"""Nothing is in production."""


@dataclass(frozen=True)
class Evidence:
    """What a retrain knows from the ones before it."""

    record: Record = NO_RECORD
    standing: Standing = NOBODY
    """Of production."""
    tries: int = 0
    """Retrains that were judged against this production and did not replace it."""
    notes: tuple[str, ...] = ()
    """Shadows that could not be asked, and why."""


NO_EVIDENCE = Evidence()


def score_shadows(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    snapshot: Snapshot,
    protection: Protection,
) -> Evidence:
    """Ask the kept challengers and production about the rows that came since the last period.

    Nothing is written: `keep_shadows` does, when the challengers of this retrain are there. A period ends
    only with a whole retrain, and with `gate.min_rows` rows of records that nobody had learned from.
    """
    use_case, keep = context.use_case, context.use_case.gate.shadows.keep
    if keep == 0:
        return Evidence()
    with context.connect() as conn:
        stored = read_periods(conn, use_case.name)
        shadows = kept_shadows(conn, use_case.name, keep)
        tries = (
            0 if production.number is None else ledger.tries_against(conn, use_case.name, production.number)
        )
    periods = tuple(Period.from_dict(one.number, one.last_seq, one.evidence) for one in stored)
    if not is_whole(held):
        # What it makes is less than what has the record.
        return Evidence(Record(periods), tries=tries)
    standing = _standing(context, production, stored)
    last = stored[-1] if stored else None
    rows = _fresh_rows(context, production, snapshot, last)
    rows = rows.take(few_of_each(rows.columns, protection.usual.spreads, seed=use_case.training.seed))
    if production.version is not None and len(rows) < use_case.gate.min_rows:
        return Evidence(Record(periods), standing, tries)
    doubt = _doubt(context, production, snapshot, protection, rows, last)
    end = Period(1 if last is None else last.number + 1, snapshot.last_seq, doubt=doubt)
    asked, notes = _ask_shadows(context, shadows, rows)
    with context.connect() as conn:
        sources = deciding_sources(conn, use_case.name, rows.identities.tolist())
    period = score_period(
        use_case.target,
        end,
        rows.labels.tolist(),
        asked,
        _serving(production, standing, rows.columns),
        metric=use_case.gate.metric,
        sources=sources,
    )
    return Evidence(Record((*periods, period), ends_now=True), standing, tries, tuple(notes))


def keep_shadows(
    context: LoopContext,
    held: HeldRun,
    snapshot: Snapshot,
    evidence: Evidence,
    trained: Mapping[str, Trained],
    logged: Mapping[str, Logged],
    registered: tuple[str, int],
) -> None:
    """Write the period down that has ended, and keep its challengers to be scored on what comes.

    It is written once, by the run that still has its place; cut off before, nothing is, and after it copies
    that are missing are fetched from MLflow.

    Args:
        registered: the challenger that became a version, and its number.

    Raises:
        Fenced: the run was taken for dead.
    """
    record, use_case = evidence.record, context.use_case
    if not record.ends_now:
        return
    period, keep = record.periods[-1], use_case.gate.shadows.keep
    kept = [
        StoredShadow(
            number=period.number,
            challenger=name,
            version=registered[1] if name == registered[0] else None,
            model_uri=logged[name].model_uri,
            digest=artifact_digest(made.artifact),
        )
        for name, made in trained.items()
    ]
    with context.connect() as conn:
        lifecycle.hold(conn, held.run_id, held.token)
        add_period(
            conn,
            use_case.name,
            period.number,
            last_seq=period.last_seq,
            snapshot=snapshot.digest,
            run_id=str(held.run_id),
            evidence=period.as_dict(),
            shadows=kept,
            keep=keep,
        )
        conn.commit()
    _keep_copies(context, period.number, trained)


def _keep_copies(context: LoopContext, newest: int, trained: Mapping[str, Trained]) -> None:
    """Copy the challengers of the newest period, and delete the copies of periods that are kept no more."""
    for name, made in trained.items():
        keep_copy(made.artifact, _folder(context, newest, name))
    recent = range(newest - context.use_case.gate.shadows.keep + 1, newest + 1)
    for folder in copies_of_others(context.settings.home, context.use_case.name, recent):
        shutil.rmtree(folder, ignore_errors=True)


def record_gains(
    context: LoopContext, evidence: Evidence, trained: Mapping[str, Trained]
) -> dict[str, RecordGain]:
    """By challenger, what its predecessors gained over what production is, where anything tells."""
    use_case = context.use_case
    made_by = {name: digest for name in trained if (digest := recipe_digest(use_case, name)) is not None}
    with context.connect() as conn:
        held = held_sources(conn, use_case.name)
    return evidence.record.gains(use_case.gate, trained, evidence.standing, made_by=made_by, held=held)


def _fresh_rows(
    context: LoopContext, production: Production, snapshot: Snapshot, last: StoredPeriod | None
) -> FeedbackRows:
    """Rows since the last period, one of each record that nobody can have learned from: none came before."""
    use_case, home = context.use_case, context.settings.home
    with context.connect() as conn:
        met = production.learned
        if last is not None:
            met |= learned_until(conn, use_case, home, last.last_seq)
        since = 0 if last is None else last.last_seq
        return read_unmet(conn, use_case, home, snapshot, since=since, met=met, most=MOST_ROWS)


def _standing(
    context: LoopContext,
    production: Production,
    periods: list[StoredPeriod],
) -> Standing:
    if production.version is None:
        return NOBODY
    number, tags = production.version.version, production.version.tags
    run = tags.get(RUN_TAG)
    made = next((one.number for one in periods if run is not None and one.run_id == run), None)
    with context.connect() as conn:
        move = ledger.last_move(conn, context.use_case.name)
    since = 0
    if move is not None and move.event != "promoted":
        since = max((one.number for one in periods if one.ended_at <= move.at), default=0)
    return Standing(number, _recipe(context, production, tags.get(CHALLENGER_TAG)), made, since)


def _recipe(context: LoopContext, production: Production, challenger: str | None) -> str | None:
    """Challenger that production was, if it would still be made as it was."""
    if production.predictor is None or challenger is None:
        return None
    made_by = recipe_digest(production.predictor.use_case, challenger)
    return challenger if made_by == recipe_digest(context.use_case, challenger) else None


def is_whole(held: HeldRun) -> bool:
    """Whether the run makes challengers as they are configured, of all rows."""
    options = held.options
    return held.kind == "retrain" and options.sample_count is None and options.epochs is None


def _ask_shadows(
    context: LoopContext, shadows: list[StoredShadow], rows: FeedbackRows
) -> tuple[list[Shadow], list[str]]:
    """Answers of those that can be asked, and of the others why not."""
    asked, notes = [], []
    newest = max((one.number for one in shadows), default=0)
    for one in shadows:
        try:
            folder = _artifact(context, one)
            predictor = Predictor.load(folder)
            answers = ask(predictor, rows.columns)
            members = _members(folder, predictor, rows.columns) if one.number == newest else {}
        except RegistryUnavailable:
            raise
        except ModelError as error:
            notes.append(
                f"challenger '{one.challenger}' that was made at the end of period {one.number} cannot be "
                f"scored: {error}"
            )
            log.warning("%s", notes[-1])
            continue
        made_by = recipe_digest(predictor.use_case, one.challenger)
        asked.append(Shadow(one.challenger, one.number, answers, members, one.version, made_by))
    return asked, notes


def _members(folder: Path, predictor: Predictor, columns: Columns) -> dict[str, Answers]:
    """What each member of a blend says by itself."""
    if not predictor.manifest.members:
        return {}
    members = load_members(folder, predictor.manifest)
    parts = [
        {name: member.predict_proba(x) for name, member in members.items()}
        for x in predictor.encode_in_parts(columns)
    ]
    return {name: predictor.answers(np.concatenate([part[name] for part in parts])) for name in members}


def _serving(production: Production, standing: Standing, columns: Columns) -> Serving | None:
    if production.predictor is None or standing.version is None:
        return None
    try:
        return Serving(standing.version, standing.made, ask(production.predictor, columns))
    except ModelError:
        return None  # the gate asks it as well, and says what is wrong


def _doubt(
    context: LoopContext,
    production: Production,
    snapshot: Snapshot,
    protection: Protection,
    rows: FeedbackRows,
    last: StoredPeriod | None,
) -> str | None:
    """Why labels since production was made, or those of the period by themselves, seem to be chosen."""
    selection = protection.selection
    if selection is not None and selection.warning is not None:
        return selection.warning
    since = None if last is None else last.last_seq
    return doubt_of_labels(context, production, protection.usual, rows, since, snapshot.last_seq)


def _artifact(context: LoopContext, shadow: StoredShadow) -> Path:
    """Its copy, whole.

    Raises:
        ArtifactError: there is none, and MLflow has none either.
        RegistryUnavailable: there is none, and MLflow does not answer.
    """
    folder = _folder(context, shadow.number, shadow.challenger)
    fetch = partial(context.registry.download_logged, shadow.model_uri)
    return whole_copy(folder, shadow.digest, fetch)


def _folder(context: LoopContext, number: int, challenger: str) -> Path:
    return shadow_folder(context.settings.home, context.use_case.name, number, challenger)
