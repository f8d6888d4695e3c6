"""What GET /v1/trace/{prediction_id} shows: a prediction's version, its training data, and its true label."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import orjson
import psycopg

from models.errors import ModelError
from models.production import ledger
from models.production.contract import RegistryReader
from models.production.tags import PREFIX, RUN_TAG, SNAPSHOT_TAG
from service.answers.slot import Slot, VersionFacts
from service.errors import UnknownPrediction
from service.storage.database import Database
from service.storage.moved import bring_back
from service.storage.waiting import Look, NotStoredYet
from store.errors import SnapshotError
from store.predictions.rows import (
    StoredPrediction,
    TrueLabel,
    find_label_taken_back,
    find_prediction,
    find_true_label,
)
from store.runs.rows import find_run
from store.snapshots.index import find_snapshot
from store.snapshots.taken_back import count_taken_back

YOUNG_SECONDS = 60.0
"""A younger prediction may still be in the journal of some worker."""
_VERDICTS = ("canary", "promoted", "rejected", "too_little_evidence", "held_back")


class Tracer:
    """Traces predictions of every use case; its methods block, and run in a thread.

    Args:
        flush: asks the journals of all workers to be stored, and waits for this one's.
    """

    def __init__(
        self,
        slots: Mapping[str, Slot],
        reader: RegistryReader,
        database: Database,
        flush: Callable[[], None],
    ) -> None:
        self._slots = slots
        self._reader = reader
        self._database = database
        self._flush = flush

    def trace(self, prediction_id: str, look: Look = Look.LAST) -> bytes:
        """A prediction with its label, version, snapshot, verdict and run as JSON; null where there is none.

        Raises:
            NotStoredYet: it may be stored soon; never at the last look.
            UnknownPrediction: it is in no log.
            Moved: it was moved, and no worker has brought it back.
            DatabaseAway: the database does not answer.
        """
        prediction = self._find(prediction_id, look)
        facts, problem = self._facts(prediction.use_case, prediction.model_version)
        stored = self._database.read(lambda conn: _read_stored(conn, prediction, facts))
        model = {
            "name": prediction.use_case,
            "version": prediction.model_version,
            "run_id": facts.run_id or None,
            "lineage": {key.removeprefix(PREFIX): value for key, value in sorted(facts.tags.items())},
            "metrics": dict(facts.metrics),
        }
        if problem is not None:
            model["problem"] = problem
        return orjson.dumps({"prediction": asdict(prediction), **stored, "model": model})

    def _find(self, prediction_id: str, look: Look) -> StoredPrediction:
        def read() -> StoredPrediction | None:
            return self._database.read(lambda conn: find_prediction(conn, prediction_id))

        if "\0" in prediction_id:  # which the database cannot even look for
            raise UnknownPrediction(prediction_id)
        prediction, young = read(), is_young(prediction_id, time.time())
        if prediction is None and look is Look.FIRST:
            if young:
                self._flush()
            else:
                bring_back(self._database, [prediction_id])
            prediction = read()
        if prediction is None and young and look is not Look.LAST:
            raise NotStoredYet
        if prediction is None:
            raise UnknownPrediction(prediction_id)
        return prediction

    def _facts(self, use_case: str, version: int | None) -> tuple[VersionFacts, str | None]:
        """The facts of a version from the registry; where they cannot be read, none and the reason."""
        slot = self._slots.get(use_case)
        for live in (slot.current, slot.previous) if slot is not None else ():
            if live is not None and live.version == version and live.facts.run_id:
                return live.facts, None
        if version is None:
            return VersionFacts(), None
        try:
            registered = self._reader.version(use_case, version)
            metrics = self._reader.metrics(registered.run_id)
            return VersionFacts(registered.run_id, registered.tags, metrics), None
        except ModelError as error:
            return VersionFacts(), str(error)


def is_young(prediction_id: str, now: float) -> bool:
    """Whether a prediction was made within `YOUNG_SECONDS` of `now`, in seconds since 1970.

    Its id is a UUID of version 7, which begins with the time: 48 bits of milliseconds.

    >>> is_young("01a1fe1e-7758-754b-870d-78d48fef5ac1", now=0x01A1FE1E7758 / 1000 + 30)
    True
    """
    try:
        made_at = (UUID(prediction_id).int >> 80) / 1000
    except ValueError:
        return False
    return abs(now - made_at) < YOUNG_SECONDS


def _read_stored(
    conn: psycopg.Connection[Any], prediction: StoredPrediction, facts: VersionFacts
) -> dict[str, Any]:
    """What the database holds about a prediction: label, run, snapshot, verdict and ledger rows."""
    version = prediction.model_version
    entries = [] if version is None else ledger.of_version(conn, prediction.use_case, version)
    verdict = next((entry for entry in entries if entry.event in _VERDICTS), None)
    taken_back = find_label_taken_back(conn, prediction)
    return {
        "label": _describe_label(prediction, find_true_label(conn, prediction)),
        "label_taken_back": None if taken_back is None else asdict(taken_back),
        "run": _run(conn, verdict, facts.tags.get(RUN_TAG)),
        "snapshot": _snapshot(conn, facts.tags.get(SNAPSHOT_TAG)),
        "verdict": _describe_verdict(verdict),
        "ledger": [entry.id for entry in entries],
    }


def _describe_label(prediction: StoredPrediction, label: TrueLabel | None) -> dict[str, Any] | None:
    return None if label is None else {**asdict(label), "correct": label.label == prediction.label}


def _describe_verdict(entry: ledger.Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    fields = entry.as_dict()
    return {key: fields[key] for key in ("id", "event", "at", "actor", "reason", "evidence")}


def _run(
    conn: psycopg.Connection[Any], verdict: ledger.Entry | None, tagged_run: str | None
) -> dict[str, Any] | None:
    run_id = tagged_run or (None if verdict is None or verdict.run_id is None else str(verdict.run_id))
    run = None if run_id is None else find_run(conn, run_id)
    keys: Sequence[str] = ("id", "kind", "status", "trigger", "requested_at", "started_at", "finished_at")
    if run is None:
        return None
    return {**{key: getattr(run, key) for key in keys}, "rows": run.row_counts}


def _snapshot(conn: psycopg.Connection[Any], digest: str | None) -> dict[str, Any] | None:
    if digest is None:
        return None
    try:
        found = find_snapshot(conn, digest)
    except SnapshotError:
        return {"digest": digest}
    snapshot = asdict(replace(found, rule=None))  # which rows it holds is more than a trace tells
    for own in ("path", "place", "settled_at", "rule", "counted_by"):
        snapshot.pop(own)
    return {**snapshot, "taken_back": count_taken_back(conn, digest).as_dict()}
