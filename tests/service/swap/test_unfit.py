"""Which versions are given up for failing, by requests of each as it is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.swap.unfit import MOST_REQUESTS, Unfit
from service.watchdog.troubles import Troubles


class Served:
    """What is asked of a version that serves: how many requests it answered, and broke on."""

    def __init__(self, answered: int = 0, broken: int = 0) -> None:
        self.name, self.version, self.pipeline = "digits", 2, self
        self.answered, self.broken = answered, broken


class Place:
    """What is asked of a slot."""

    name = "digits"

    def __init__(self, current: Served | None, canary: Served | None = None) -> None:
        self.current, self.canary = current, canary


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
