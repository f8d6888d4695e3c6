"""Which versions are given up for failing, by requests of each as it is loaded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.swap.unfit import MOST_REQUESTS, Unfit
from service.watchdog.troubles import HANG, Trouble, Troubles


class Served:
    """What is asked of a version that serves: how many requests it answered, and broke on."""

    def __init__(self, answered: int = 0, broken: int = 0) -> None:
        self.name, self.version, self.pipeline = "digits", 2, self
        self.answered, self.broken = answered, broken


class Place:
    """What is asked of a slot."""

    name = "digits"

    def __init__(self, current: Served | None, canary: Served | None = None) -> None:
        self.current, self.canary, self.previous = current, canary, None


@pytest.fixture
def unfit(tmp_path: Path) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    yield Unfit(Troubles(tmp_path / "troubles.jsonl"), loop)
    loop.close()


def given_up(unfit: Any, place: Place) -> list[str]:
    return [str(error).partition(";")[0] for _slot, _served, error in unfit.among([place])]


def test_a_version_that_fails_on_most_requests_is_given_up(unfit: Any) -> None:
    served = Served()
    assert given_up(unfit, Place(served)) == []
    served.answered, served.broken = 5, 12
    assert given_up(unfit, Place(served)) == ["it failed on 12 of 17 requests"]


def test_what_was_tried_and_serves_now_is_judged_by_what_it_does_since(unfit: Any) -> None:
    tried = Served()
    place = Place(None, tried)
    tried.answered, tried.broken = 5 * MOST_REQUESTS, 3
    assert given_up(unfit, place) == []
    serving = Served()
    place = Place(serving)  # the same version, loaded anew
    assert given_up(unfit, place) == []
    serving.answered, serving.broken = 2 * MOST_REQUESTS, 13
    assert given_up(unfit, place) == []
    serving.broken += 2 * MOST_REQUESTS
    assert given_up(unfit, place) == [f"it failed on {2 * MOST_REQUESTS} of {2 * MOST_REQUESTS} requests"]


def test_what_is_announced_anew_is_judged_by_what_it_does_since(unfit: Any) -> None:
    served = Served(answered=3, broken=12)
    place = Place(served)
    assert given_up(unfit, place) == ["it failed on 12 of 15 requests"]
    served.broken += 9
    assert given_up(unfit, place) == []
    unfit.forget("digits", 2)
    assert given_up(unfit, place) == []
    served.answered, served.broken = served.answered + 2, served.broken + 10
    assert given_up(unfit, place) == ["it failed on 10 of 12 requests"]


def test_what_could_not_be_read_is_looked_at_again(unfit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(Served())
    unfit._troubles.add(Trouble("digits", 2, HANG, "answering", 1.0, "it hangs"))

    def fails(*_: Any) -> str:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(unfit._troubles, "reason", fails)
        with pytest.raises(OSError, match="Too many"):
            given_up(unfit, place)
    assert given_up(unfit, place) == ["it hangs"]


def test_what_another_worker_notes_in_the_same_tick_of_the_clock_is_seen(unfit: Any, tmp_path: Path) -> None:
    path = tmp_path / "troubles.jsonl"
    troubles = Troubles(path)
    place = Place(Served())
    troubles.add(Trouble("digits", 1, HANG, "answering", 1.0, "it hangs"))
    before = path.stat()
    assert given_up(unfit, place) == []
    troubles.add(Trouble("digits", 2, HANG, "answering", 1.0, "it hangs"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert given_up(unfit, place) == ["it hangs"]
    assert given_up(unfit, place) == [], "it is told once"
