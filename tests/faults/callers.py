"""Callers of the service who never stop, and remember what they were promised."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import psycopg

from tests.e2e.apples import USE_CASE

PAUSE_SECONDS = 0.02
"""Between two requests of one caller: the load is for finding what is lost, not for speed."""
WEIGHT_DIGITS = 9
STRIDE = 618_033_989
"""Has no factor in common with a power of ten, so all weights come before one comes again."""
TIMEOUT = httpx.Timeout(10.0, connect=2.0)


@dataclass(frozen=True)
class Call:
    """One request: when it was answered, and how."""

    at: float
    kind: str
    status: str


@dataclass
class Callers:
    """Threads that ask for predictions and send feedback, each request once more until it is acknowledged.

    Feedback carries a record of its own, so that what became of it can be counted; a repeated request has the
    same `Idempotency-Key`, as the documentation asks for.
    """

    url: str
    predicting: int = 2
    labelling: int = 2
    use_case: str = USE_CASE
    record: Mapping[str, Any] | None = None
    """What is asked for; None: apples, each another."""
    edge: float = 0.5
    """Above this weight an apple is labelled good."""
    calls: list[Call] = field(default_factory=list)
    predicted: list[str] = field(default_factory=list)
    """Ids of acknowledged predictions."""
    sent: list[float] = field(default_factory=list)
    """Weights of the records of feedback, acknowledged or not."""
    labelled: list[float] = field(default_factory=list)
    """Weights of the records of acknowledged feedback."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _weights: Callable[[], float] = field(init=False)

    def __post_init__(self) -> None:
        numbers = itertools.count(random.SystemRandom().randrange(10**WEIGHT_DIGITS))
        # All over the range, like those of a file, with more digits than theirs, and each once in a run.
        self._weights = lambda: next(numbers) * STRIDE % 10**WEIGHT_DIGITS / 10**WEIGHT_DIGITS

    def __enter__(self) -> Self:
        works = [self._predict] * self.predicting + [self._label] * self.labelling
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def statuses(self, kind: str, since: float, until: float = float("inf")) -> frozenset[str]:
        """How requests of a kind were answered in a span of `time.monotonic()`."""
        return frozenset(
            call.status for call in self.calls if call.kind == kind and since <= call.at <= until
        )

    def last_bad(self, since: float) -> float:
        """When the last request that was not answered by 200 ended; `since` where there was none."""
        return max(
            (call.at for call in self.calls if call.status != "200" and call.at > since), default=since
        )

    def wait_for_good(self, count: int = 10, seconds: float = 120.0) -> None:
        """Until so many requests of each kind in a row were answered by 200."""
        until = time.monotonic() + seconds
        while True:
            calls = list(self.calls)
            kinds = ("predict", "feedback") if self.labelling else ("predict",)
            recent = {kind: [call.status for call in calls if call.kind == kind][-count:] for kind in kinds}
            if all(statuses == ["200"] * count for statuses in recent.values()):
                return
            assert time.monotonic() < until, f"callers are not answered again: {recent}"
            time.sleep(0.05)

    def _repeat(self, work: Callable[[httpx.Client], None]) -> None:
        with httpx.Client(base_url=self.url, timeout=TIMEOUT) as client:
            while not self._stopping.is_set():
                work(client)
                time.sleep(PAUSE_SECONDS)

    def _predict(self, client: httpx.Client) -> None:
        response = self._post(client, "predict", {"records": [self._record()]}, {})
        if response is not None and response.status_code == 200:
            self.predicted.append(response.json()["predictions"][0]["id"])

    def _label(self, client: httpx.Client) -> None:
        record = self._record()
        label = "good" if record["weight"] > self.edge else "poor"
        body = {"items": [{"record": record, "label": label}]}
        self.sent.append(record["weight"])
        key = {"Idempotency-Key": uuid.uuid4().hex}
        while not self._stopping.is_set():
            response = self._post(client, "feedback", body, key)
            if response is not None and response.status_code == 200:
                assert response.json()["rejected"] == [], response.text
                self.labelled.append(record["weight"])
                return
            time.sleep(PAUSE_SECONDS * 5)

    def _record(self) -> dict[str, Any]:
        if self.record is not None:
            return dict(self.record)
        return {"weight": self._weights(), "colour": "red"}

    def _post(
        self, client: httpx.Client, kind: str, body: Any, headers: dict[str, str]
    ) -> httpx.Response | None:
        response: httpx.Response | None = None
        try:
            response = client.post(f"/v1/{self.use_case}/{kind}", json=body, headers=headers)
            status = str(response.status_code)
        except httpx.ConnectError:
            status = "refused"
        except httpx.TimeoutException:
            status = "late"
        except httpx.TransportError:
            status = "cut"
        self.calls.append(Call(time.monotonic(), kind, status))
        return response


def count_lost(conn: psycopg.Connection[Any], callers: Callers, seconds: float = 30.0) -> tuple[int, int]:
    """Of what was acknowledged, how much the database does not have, and how much it has more than once.

    Args:
        seconds: how long the prediction log may take to reach the database.
    """
    predicted, labelled = set(callers.predicted), set(callers.labelled)
    until = time.monotonic() + seconds
    while True:
        predictions = _counts(
            conn, "SELECT id, count(*) FROM prediction WHERE id = ANY(%s) GROUP BY 1", list(predicted)
        )
        if len(predictions) == len(predicted) or time.monotonic() > until:
            break
        time.sleep(0.2)
    labels = _counts(
        conn,
        # A row of a file may by chance have the weight of one that was sent, and another colour.
        "SELECT weight, max(rows) FROM (SELECT (record->>'weight')::float AS weight, count(*) AS rows"
        " FROM feedback WHERE (record->>'weight')::float = ANY(%s) GROUP BY record) AS labelled GROUP BY 1",
        callers.sent,
    )
    lost = len(predicted - predictions.keys()) + len(labelled - labels.keys())
    doubled = sum(count > 1 for count in (*predictions.values(), *labels.values()))
    return lost, doubled


def _counts(conn: psycopg.Connection[Any], query: Any, keys: list[str] | list[float]) -> dict[Any, int]:
    return dict(conn.execute(query, (keys,)).fetchall())
