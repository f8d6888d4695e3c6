"""Where no worker looks for moved predictions, few threads wait for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import psycopg
import pytest

from service.errors import Moved
from service.storage import moved
from service.storage.database import Database
from tests.service.swap.test_watcher import wait_for

ASKED = ["one"]


class Waited:
    """Stands for the wait: as long as it is told, and with what is left then."""

    def __init__(self) -> None:
        self.calls = 0
        self.left: Sequence[str] = ASKED
        self.over = threading.Event()

    def __call__(self, _waiting: Callable[[], Sequence[str]]) -> Sequence[str]:
        self.calls += 1
        assert self.over.wait(30)
        return self.left


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waited]:
    made = Waited()
    monkeypatch.setattr(moved, "wait_back", made)
    monkeypatch.setattr(moved, "_in_vain", threading.Event())
    monkeypatch.setattr(moved, "ask_back", lambda *_asked: ASKED)
    monkeypatch.setattr(moved, "still_waiting", lambda *_asked: ASKED)
    yield made
    made.over.set()


class NoDatabase:
    """Runs what needs none."""

    def run(self, work: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        return work(cast("psycopg.Connection[Any]", None))

    read = run


def ask() -> None:
    moved.bring_back(cast("Database", NoDatabase()), ASKED)


def refused() -> None:
    with pytest.raises(Moved):
        ask()


def test_once_one_has_waited_in_vain_one_waits_at_a_time_until_a_worker_looks(waited: Waited) -> None:
    first = [threading.Thread(target=refused) for _ in range(2)]
    for thread in first:
        thread.start()
    wait_for(lambda: waited.calls == 2)  # as long as all is well, all wait
    waited.over.set()
    for thread in first:
        thread.join(30)
    waited.over.clear()
    trying = threading.Thread(target=ask)
    trying.start()
    wait_for(lambda: waited.calls == 3)
    refused()
    refused()
    assert waited.calls == 3
    waited.left = []
    waited.over.set()
    trying.join(30)
    ask()
    assert waited.calls == 4
    waited.left = ASKED
    refused()
    assert waited.calls == 5
