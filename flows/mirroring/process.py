"""The process that answers live records by a shadow version: reads what was logged, answers, keeps.

It tells whoever started it what it is about to do, a word a line, so that one who waits knows whether it
hangs, and in what: `loading` and `answering` are the version's own doing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import psycopg

from configs.security.umask import set_private_umask
from configs.settings import Settings, read_settings
from flows.mirroring.answering import answer_records
from flows.mirroring.priority import end_with, limit_memory, stand_back
from models.errors import CannotLoadNow, ModelError, RegistryUnavailable
from models.passing_faults import is_passing
from models.production.artifact_digests import vouched_artifact
from models.production.registry_rest import open_registry
from models.versions.artifact import read_probe
from models.versions.cache import model_cache
from models.versions.predictor import Predictor
from store.database.connection import connect
from store.database.sessions import has_own_session, session_url, try_keep_lock
from store.predictions.shadow_answers import (
    KEPT_SECONDS,
    ShadowAnswer,
    count_left_out,
    find_standing,
    keep_answers,
    newest_prediction,
    read_waiting,
    write_costs,
)

ACTOR = "shadow"
READ_ROWS = 256
"""Records read at a time."""
PIECE_ROWS = 64
"""Records answered at a time; a rest follows."""
RESTS = 3.0
"""Seconds of rest for a second of computing: it takes a quarter of one core at most."""
LONGEST_REST = 30.0
LOOK_SECONDS = 1.0
"""Between two looks at the log, where all is answered."""
LATE_SECONDS = 5.0
"""A prediction may come to the database so much later than others that were made at that time."""
COUNT_SECONDS = 5.0
"""Between two counts of what was left out."""
TIMED_RECORDS = 16
LEAST_TURNS = 3
TIMING_SECONDS = 0.5
STATEMENT_SECONDS = 60

Say = Callable[[str], None]


def main(words: list[str]) -> None:
    """Answer until ended.

    Args:
        words: use case, version, production (0: none), process id of who started it, and `from_now` where
            what waits already is left out.
    """
    use_case, version, production, parent = words[0], int(words[1]), int(words[2]) or None, int(words[3])
    stand_back()
    end_with(parent)
    limit_memory()
    set_private_umask()
    say = _take_output()
    try:
        _ask(use_case, version, production, say, leaves_out="from_now" in words[4:])
    # Whoever started this process tells of it; errors of this process go nowhere.
    except Exception as error:  # noqa: BLE001
        say(f"failed {type(error).__name__}: {error}")
        sys.exit(1)


def _ask(use_case: str, version: int, production: int | None, say: Say, *, leaves_out: bool) -> None:
    """Load the version and have it answer until the process is ended, unless another process does."""
    settings = read_settings()
    with connect(session_url(settings), autocommit=True) as conn:
        if has_own_session(conn):  # else these would become settings of others
            conn.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            conn.execute("SET synchronous_commit = off")  # an answer that a crash loses is given again
        keeper = try_keep_lock(conn, "shadow", use_case)
        if keeper is None:
            say("busy")
            return
        begun = newest_prediction(conn, use_case) if leaves_out else None
        try:
            predictor = _load(conn, settings, use_case, version, production, say)
        except (ModelError, OSError, MemoryError) as error:
            word = "away" if _is_of_machine(error) else "broken"
            say(f"{word} {error or type(error).__name__}")
        else:
            Mirror(conn, use_case, version, predictor, say, begun).go()


def _load(
    conn: psycopg.Connection[Any],
    settings: Settings,
    use_case: str,
    version: int,
    production: int | None,
    say: Say,
) -> Predictor:
    """The version, proven, with what a record costs it and production written down."""
    registry, cache = open_registry(settings.mlflow_uri), model_cache(settings.home)
    say("fetching")
    beside = None
    if production is not None:
        with suppress(ModelError, OSError):  # a figure is missing then; whoever serves tells what is wrong
            beside = _timed(vouched_artifact(conn, registry, use_case, production, cache, actor=ACTOR))
    artifact = vouched_artifact(conn, registry, use_case, version, cache, actor=ACTOR)
    say("loading")
    timed = _timed(artifact)
    timed[0].check_probe()
    costs = _alone_ms([timed] if beside is None else [timed, beside])
    say(f"costs {costs[0]}")
    say("keeping")
    write_costs(conn, use_case, version, costs[0], production, None if beside is None else costs[1])
    return timed[0]


def _is_of_machine(error: Exception) -> bool:
    """Whether the version may load later; too much memory it takes of its own share, each time."""
    cause = error.__cause__ if isinstance(error, CannotLoadNow) else error
    return isinstance(error, RegistryUnavailable) or (isinstance(cause, OSError) and is_passing(cause))


def _timed(artifact: Path) -> tuple[Predictor, Sequence[str]]:
    """A version, and records to time it by."""
    return Predictor.load(artifact), read_probe(artifact).records[:TIMED_RECORDS]


def _alone_ms(timed: Sequence[tuple[Predictor, Sequence[str]]]) -> list[float]:
    """Milliseconds of computing for a record by itself, of each version: its best turn of many.

    They take turns, and what others do to the machine meanwhile only ever makes one slower.
    """
    started, turns = process_time(), list[list[float]]()
    while len(turns) < LEAST_TURNS or process_time() - started < TIMING_SECONDS:
        turns.append([])
        for predictor, records in timed:
            began = process_time()
            for record in records:
                answer_records(predictor, [record])
            turns[-1].append(1000 * (process_time() - began) / max(1, len(records)))
    return [min(one) for one in zip(*turns, strict=True)]


class Mirror:
    """Answers what is logged, the newest first, and rests in between.

    Args:
        begun: what was logged until then is left out; None: nothing is.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        use_case: str,
        version: int,
        predictor: Predictor,
        say: Say,
        begun: datetime | None,
    ) -> None:
        self._conn = conn
        self._use_case = use_case
        self._version = version
        self._predictor = predictor
        self._say = say
        self._floor = None if begun is None else begun + timedelta(microseconds=1)
        """All that was logged before is answered, or left out."""
        self._newest: datetime | None = None
        self._has_more = False
        self._moved_at = self._counted_at = monotonic()

    def go(self) -> None:
        """Answer until the process is ended."""
        while True:
            if self.answer_waiting() < READ_ROWS:
                self._rest("waiting", LOOK_SECONDS)

    def answer_waiting(self) -> int:
        """Answer the newest records that wait, `READ_ROWS` at most; returns how many there were."""
        self._say("reading")
        began = process_time()
        newest = newest_prediction(self._conn, self._use_case)
        if newest is None or self._is_quiet(newest):
            return 0
        standing = find_standing(self._conn, self._use_case)
        if standing is None or standing.version != self._version:
            return 0  # whoever started this process is about to end it
        kept = newest - timedelta(seconds=KEPT_SECONDS)
        since = max(one for one in (standing.since, kept, self._floor) if one is not None)
        waiting = read_waiting(self._conn, self._use_case, self._version, since, READ_ROWS)
        self._rest_after(began)
        answers: list[ShadowAnswer] = []
        for start in range(0, len(waiting), PIECE_ROWS):
            began = process_time()
            self._say("answering")
            piece = [one.record for one in waiting[start : start + PIECE_ROWS]]
            answers += answer_records(self._predictor, piece)
            self._rest_after(began)
        self._say("keeping")
        if waiting:
            keep_answers(self._conn, self._use_case, self._version, waiting, answers)
        self._has_more = len(waiting) == READ_ROWS
        if not self._has_more:
            self._floor = max(since, newest - timedelta(seconds=LATE_SECONDS))
        if monotonic() - self._counted_at > COUNT_SECONDS:
            count_left_out(self._conn, self._use_case, self._version, newest)
            self._counted_at = monotonic()
        return len(waiting)

    def _is_quiet(self, newest: datetime) -> bool:
        """Whether all is answered, and nothing was logged for so long that nothing can come late either."""
        if newest != self._newest:
            self._newest, self._moved_at = newest, monotonic()
        return not self._has_more and monotonic() - self._moved_at > LATE_SECONDS + COUNT_SECONDS

    def _rest_after(self, began: float) -> None:
        self._rest("resting", min(LONGEST_REST, RESTS * (process_time() - began)))

    def _rest(self, word: str, seconds: float) -> None:
        self._say(word)
        time.sleep(seconds)


def _take_output() -> Say:
    """What tells who started this process; whatever else is printed goes where errors go."""
    told = os.dup(1)
    os.dup2(2, 1)

    def say(words: str) -> None:
        os.write(told, f"{' '.join(words.split())}\n".encode())

    return say


if __name__ == "__main__":
    main(sys.argv[1:])
