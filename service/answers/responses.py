"""Responses: ids, the JSON that each request gets, and the lines of the prediction log."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from service.answers.requests import PredictRequest
from service.answers.responders import EncodedAnswers, Source
from store.predictions.audits import AUDITED, NOT_AUDITED, VARIANT
from store.predictions.journal import NULL, escape

MODEL = "model"
"""Source of all answers where there is no chain."""
MIXED = "mixed"
"""Source of a request whose records were answered by several links."""


NULL_END = NULL + b"\n"
_UTC = "+00:00"
CLOCKS_SECONDS = 60.0
"""By which clocks of servers may differ."""
SET_BACK_SECONDS = 86_400.0
"""By which a clock may have been set back since an answer was given."""
DRAW_BYTES = 4
"""Of chance, for each answer: whether it is one of the audit sample."""
DRAWS_AHEAD = 1024


class PredictionIds:
    """UUIDs of version 7: they sort by time, and within a process by order.

    48 bits of milliseconds, 24 of a counter, 44 that are random for each process (RFC 9562, 5.7). The last
    digit tells whether the answer is one of the audit sample (`store.predictions.audits`).
    """

    def __init__(self) -> None:
        self._counter = itertools.count(int.from_bytes(os.urandom(3), "big"))
        self._node = os.urandom(6).hex()[1:]
        self._draws: Iterator[int] = iter(())

    def take(self, count: int, now_ns: int, audit: int = 0) -> list[str]:
        """New ids for answers given now.

        Args:
            audit: of 2**32, how many are drawn for the audit sample.
        """
        time_ms = (now_ns // 1_000_000).to_bytes(6, "big").hex()
        prefix, node, counter = f"{time_ms[:8]}-{time_ms[8:]}-7", self._node, self._counter
        ids = []
        # Nobody can tell beforehand: neither the record nor the ids before say anything of the draw.
        for draw in self._draw(count):
            number = (next(counter) & 0xFFFFFF).to_bytes(3, "big").hex()
            mark = AUDITED if draw < audit else NOT_AUDITED
            ids.append(f"{prefix}{number[:3]}-{VARIANT}{number[3:]}-{node}{mark}")
        return ids

    def _draw(self, count: int) -> Sequence[int]:
        """As many draws of 32 bits; fetched many at a time, as each call of the system costs microseconds."""
        while True:
            drawn = list(itertools.islice(self._draws, count))  # by one thread at a time, as it is of C
            if len(drawn) == count:
                return drawn
            self._draws = iter(memoryview(os.urandom(DRAW_BYTES * max(count, DRAWS_AHEAD))).cast("I"))


def answered_at(prediction_id: str) -> datetime | None:
    """When an answer with this id was given, to the millisecond; None where none can have been.

    One that lies ahead, by a day at most, is of before the clock was set back.
    """
    try:
        made = UUID(prediction_id)
    except ValueError:
        return None
    seconds = (made.int >> 80) / 1000
    is_ours = made.version == 7 and seconds < time.time() + SET_BACK_SECONDS
    return datetime.fromtimestamp(seconds, UTC) if is_ours else None


class PredictResponse(NamedTuple):
    """What one request gets, and what the log keeps of it."""

    body: bytes
    log_lines: list[bytes]
    ids: list[str]
    predictions: list[bytes]
    """JSON of each prediction, as in the body."""
    tail: bytes
    """What follows them in the body."""


class ResponseWriter:
    """Writes the responses of one version, or of a chain.

    Args:
        version: the one that serves; None where there is none yet, and others of a chain answer.
        key: what labels are called, `label` or `labels`.
        audit: share of answers that are drawn for the audit sample.
    """

    def __init__(
        self, use_case: str, version: int | None, ids: PredictionIds, key: str = "label", audit: float = 0.0
    ) -> None:
        self._ids = ids
        self._audit = round(audit * 2 ** (8 * DRAW_BYTES))
        self._use_case = use_case.encode()
        self._model = {"name": use_case, "version": version}
        self._key = b'","' + key.encode() + b'":'
        self._tails: dict[str, bytes] = {}
        self._ends: dict[Source, bytes] = {}
        self._origins: dict[Source, bytes] = {}
        self._alone = Source(MODEL, version)
        self._second = (-1, b"")
        """The last one that was written, and its text."""
        self._tail = self._tail_of(MODEL)
        self._origin = self._origin_of(self._alone)

    def write(
        self, requests: Sequence[PredictRequest], answers: EncodedAnswers, records: Sequence[bytes]
    ) -> list[PredictResponse]:
        """Answers for requests whose records are those that were answered, in order.

        Args:
            records: canonical JSON of each record, for the log.
        """
        now_ns = time.time_ns()
        when = self._time_of(now_ns)
        ids = self._ids.take(len(records), now_ns, self._audit)
        sources = answers.sources
        ends: Iterable[bytes] = itertools.repeat(b"}")
        origins: Iterable[bytes] = itertools.repeat(self._origin + when)
        if sources is not None:
            ends = map(self._end_of, sources)
            origins = [self._origin_of(source) + when for source in sources]
        rows = zip(
            ids, answers.labels, answers.logged_labels, answers.label_scores, answers.scores,
            answers.logged_scores, records,
            ends, origins, strict=False,
        )  # fmt: skip
        tails = itertools.repeat(self._tail) if sources is None else self._tails_of(requests, sources)
        return [self._one(request, rows, tail) for request, tail in zip(requests, tails, strict=False)]

    def _one(self, request: PredictRequest, rows: Iterator[Any], tail: bytes) -> PredictResponse:
        answers: list[bytes] = []
        lines: list[bytes] = []
        ids: list[str] = []
        use_case, key = self._use_case, self._key
        nothing: list[Any] = [None] * request.count
        for own_id, group in zip(request.record_ids or nothing, request.groups or nothing, strict=True):
            prediction_id, label, logged, score, scores, logged_scores, record, end, origin = next(rows)
            ids.append(prediction_id)
            encoded = prediction_id.encode()
            own = key if own_id is None else b'","record_id":' + orjson.dumps(own_id) + b"," + key[2:]
            if prediction_id[-1] == AUDITED:
                end = b',"audit":true' + end
            answers.append(
                b"".join((b'{"id":"', encoded, own, label, b',"score":', score, b',"scores":', scores, end))
            )
            document = escape(record) if b"\\" in record else record
            own = NULL if own_id is None else escape(str(own_id).encode())
            last = NULL_END if group is None else escape(group.encode()) + b"\n"
            lines.append(
                b"\t".join((encoded, use_case, own, document, logged, score, logged_scores, origin, last))
            )
        return PredictResponse(b'{"predictions":[' + b",".join(answers) + tail, lines, ids, answers, tail)

    def _time_of(self, now_ns: int) -> bytes:
        """In ISO 8601, to the microsecond."""
        second, microseconds = divmod(now_ns // 1000, 1_000_000)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat().removesuffix(_UTC).encode()
            self._second = second, text
        return b"%b.%06d%b" % (text, microseconds, _UTC.encode())

    def _tails_of(self, requests: Sequence[PredictRequest], sources: Sequence[Source]) -> Iterator[bytes]:
        start = 0
        for request in requests:
            links = {source.link for source in sources[start : start + request.count]}
            start += request.count
            yield self._tail_of(links.pop() if len(links) == 1 else MIXED)

    def _tail_of(self, link: str) -> bytes:
        if link not in self._tails:
            self._tails[link] = b'],"model":' + orjson.dumps(self._model | {"source": link}) + b"}"
        return self._tails[link]

    def _end_of(self, source: Source) -> bytes:
        if source not in self._ends:
            self._ends[source] = b',"source":' + orjson.dumps(source.link) + b"}"
        return self._ends[source]

    def _origin_of(self, source: Source) -> bytes:
        if source not in self._origins:
            version = NULL if source.version is None else b"%d" % source.version
            self._origins[source] = version + b"\t" + source.link.encode() + b"\t"
        return self._origins[source]
