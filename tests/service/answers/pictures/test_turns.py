"""Turns of requests with pictures: who waits for whom, and what is not decoded at all. Work is counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from service.answers import decoding
from service.answers.decoding import Decoding, Lane
from service.errors import Overloaded
from service.http.exchange import ClientGone

Test = Callable[[Decoding], Awaitable[None]]


class Caller:
    """The other side of a request: it hangs up when it is told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Work:
    """Stands for decoding: it begins, and ends once it may."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.threads: set[str] = set()
        self.now = self.most = 0
        self._may_end = threading.Semaphore(0)
        self._guard = threading.Lock()

    def __call__(self, name: str) -> str:
        with self._guard:
            self.begun.append(name)
            self.threads.add(threading.current_thread().name)
            self.now += 1
            self.most = max(self.most, self.now)
        assert self._may_end.acquire(timeout=60)
        with self._guard:
            self.now -= 1
        return name.upper()

    def end(self, count: int = 1) -> None:
        self._may_end.release(count)


def in_loop(test: Test, at_once: int = 1) -> None:
    async def run() -> None:
        held = Decoding(at_once)
        try:
            await test(held)
        finally:
            held.stop()

    asyncio.run(run())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


def ask(lane: Lane, work: Work, name: str, caller: Caller | None = None) -> asyncio.Task[str]:
    return asyncio.ensure_future(lane.run(None if caller is None else caller.receive, work, name))


def test_pictures_of_one_use_case_do_not_hold_up_those_of_another() -> None:
    async def test(held: Decoding) -> None:
        work = Work()
        many = [ask(held.lane("a"), work, f"a{number}") for number in range(5)]
        await until(lambda: work.begun == ["a0"])
        other = ask(held.lane("b"), work, "b")
        await asyncio.sleep(0)
        work.end(6)
        assert await asyncio.gather(*many, other) == ["A0", "A1", "A2", "A3", "A4", "B"]
        assert work.begun.index("b") <= 2
        assert work.most == 1

    in_loop(test)


def test_one_use_case_takes_half_of_the_places() -> None:
    async def test(held: Decoding) -> None:
        work = Work()
        many = [ask(held.lane("a"), work, f"a{number}") for number in range(5)]
        await until(lambda: work.now == 2)
        other = ask(held.lane("b"), work, "b")
        await until(lambda: "b" in work.begun)
        assert work.begun == ["a0", "a1", "b"]
        work.end(6)
        await asyncio.gather(*many, other)
        assert work.most == 3
        assert all(name.startswith("pictures") for name in work.threads)

    in_loop(test, at_once=4)


def test_nothing_is_decoded_for_callers_who_have_gone() -> None:
    async def test(held: Decoding) -> None:
        work, lane = Work(), held.lane("a")
        callers = [Caller() for _ in range(6)]
        asked = [ask(lane, work, str(number), caller) for number, caller in enumerate(callers)]
        await until(lambda: work.begun == ["0"])
        for caller in callers[:-1]:  # also the one whose picture is being decoded
            caller.gone.set()
        answers = await asyncio.gather(*asked[:-1], return_exceptions=True)
        assert [type(answer) for answer in answers] == [ClientGone] * 5
        assert lane.waiting == 1
        await asyncio.sleep(0.01)
        assert work.begun == ["0"]  # whose place is taken until it has ended
        work.end(2)
        assert await asked[-1] == "5"
        assert work.begun == ["0", "5"]

    in_loop(test)


def test_more_than_can_be_read_soon_are_refused() -> None:
    async def test(held: Decoding) -> None:
        work, lane = Work(), held.lane("a")
        assert lane.room == decoding.MOST_WAITING
        lane._seconds = 1.0
        asked = [ask(lane, work, "x") for _ in range(decoding.LEAST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="already wait for their pictures to be decoded; allowed: 32"):
            await ask(lane, work, "too much")
        assert await asyncio.wait_for(_answered(ask(held.lane("b"), work, "b"), work), 60) == "B"
        work.end(40)
        await asyncio.gather(*asked)
        assert len(work.begun) == decoding.LEAST_WAITING + 1
        assert lane.waiting == 0 and not lane.is_full

    in_loop(test)


async def _answered(asked: asyncio.Task[str], work: Work) -> str:
    while not asked.done():
        work.end()
        await asyncio.sleep(0.001)
    return asked.result()


def test_what_cannot_be_read_says_so_and_gives_its_place_back() -> None:
    async def test(held: Decoding) -> None:
        def broken() -> None:
            raise ValueError("no picture")

        for _ in range(3):
            with pytest.raises(ValueError, match="no picture"):
                await held.lane("a").run(Caller().receive, broken)
        assert held.lane("a").waiting == 0

    in_loop(test)


@pytest.fixture(autouse=True)
def ends_what_it_starts() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("pictures"):
            thread.join(60)
            assert not thread.is_alive()
