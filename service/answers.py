"""Writing answers: ids, the JSON of each request, and the lines of the prediction log.

Whole batches are rendered at once, numbers by orjson as the shortest text of a float32, so
that what is answered, logged and later judged is the same number.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import orjson
from numpy.typing import NDArray

from features.journal import NULL, escape
from service.payloads import Incoming

SOURCE = "model"
"""Which link of the chain answered."""


class PredictionIds:
    """UUIDs of version 7: they sort by time, and within a process by order.

    48 bits of milliseconds, 24 of a counter, 48 that are random for each process (RFC 9562, 5.7).
    """

    def __init__(self) -> None:
        self._counter = itertools.count(int.from_bytes(os.urandom(3), "big"))
        self._node = os.urandom(6).hex()

    def take(self, count: int, now_ns: int) -> list[str]:
        """New ids for answers given now."""
        time_ms = f"{now_ns // 1_000_000:012x}"
        prefix, node, counter = f"{time_ms[:8]}-{time_ms[8:]}-7", self._node, self._counter
        ids = []
        for _ in range(count):
            number = f"{next(counter) & 0xFFFFFF:06x}"
            ids.append(f"{prefix}{number[:3]}-8{number[3:]}-{node}")
        return ids


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one request gets, and what the log keeps of it."""

    body: bytes
    lines: list[bytes]
    ids: list[str]


class Renderer:
    """Renders the answers of one version."""

    def __init__(self, use_case: str, version: int, classes: Sequence[str], ids: PredictionIds) -> None:
        self._ids = ids
        self._labels = [orjson.dumps(label) for label in classes]
        self._logged_labels = [escape(label.encode()) for label in classes]
        pairs = b",".join(label.replace(b"%", b"%%") + b":%b" for label in self._labels)
        self._scores = b"{" + pairs + b"}"
        self._plain_scores = b"\\" not in self._scores
        model = orjson.dumps({"name": use_case, "version": version, "source": SOURCE})
        self._tail = b'],"model":' + model + b"}"
        self._use_case = use_case.encode()
        self._origin = f"{version}\t{SOURCE}\t".encode()

    def render(
        self,
        requests: Sequence[Incoming],
        probabilities: NDArray[np.float32],
        records: Sequence[str],
    ) -> list[Rendered]:
        """Answers for requests whose records are the rows of `probabilities`, in order.

        Args:
            records: canonical JSON of each record, for the log.

        Raises:
            FloatingPointError: a probability is not a finite number.
        """
        if not np.isfinite(probabilities).all():
            raise FloatingPointError("the model gave a probability that is not a number")
        now_ns = time.time_ns()
        when = datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat().encode()
        end = self._origin + when + b"\n"
        ids = self._ids.take(len(records), now_ns)
        best = probabilities.argmax(axis=1).tolist()
        text = orjson.dumps(np.ascontiguousarray(probabilities), option=orjson.OPT_SERIALIZE_NUMPY)
        numbers = [row.split(b",") for row in text[2:-2].split(b"],[")]
        rendered = []
        start = 0
        for request in requests:
            stop = start + request.count
            part = slice(start, stop)
            rendered.append(self._one(request, ids[part], best[part], numbers[part], records[part], end))
            start = stop
        return rendered

    def _one(
        self,
        request: Incoming,
        ids: list[str],
        best: list[int],
        numbers: list[list[bytes]],
        records: Sequence[str],
        end: bytes,
    ) -> Rendered:
        answers, lines = [], []
        own_ids = request.record_ids or [None] * len(ids)
        use_case, labels, logged = self._use_case, self._labels, self._logged_labels
        for name, own_id, index, row, record in zip(ids, own_ids, best, numbers, records, strict=True):
            key = name.encode()
            scores = self._scores % tuple(row)
            own = b"" if own_id is None else b'","record_id":' + orjson.dumps(own_id) + b',"label":'
            answers.append(
                b'{"id":"%b%b%b,"score":%b,"scores":%b}'
                % (key, own or b'","label":', labels[index], row[index], scores)
            )
            document = record.encode()
            if b"\\" in document:
                document = escape(document)
            lines.append(
                b"%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b"
                % (
                    key,
                    use_case,
                    NULL if own_id is None else escape(str(own_id).encode()),
                    document,
                    logged[index],
                    row[index],
                    scores if self._plain_scores else escape(scores),
                    end,
                )
            )
        return Rendered(b'{"predictions":[' + b",".join(answers) + self._tail, lines, ids)
