"""No wait when idle, one batch while busy, and no neighbour harmed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

import pytest

import service.answers.batcher
from service.answers.batcher import INLINE_SECONDS, LEAST_REQUESTS, Batcher
from service.errors import Failed, LogUnwritable, ModelFailed, Overloaded


@dataclass
class Ask:
    name: str
    count: int = 1


class Model:
    """Echoes names; notes its batches and where they ran."""

    def __init__(self, seconds_a_row: float = 0.0) -> None:
        self.seconds = seconds_a_row
        self.batches: list[list[str]] = []
        self.threads: list[int] = []
        self.running = 0
        self.together = 0

    def __call__(self, asks: Sequence[Ask]) -> list[str]:
        self.running += 1
        self.together = max(self.together, self.running)
        self.batches.append([ask.name for ask in asks])
        self.threads.append(threading.get_ident())
        sleep(self.seconds * sum(ask.count for ask in asks))
        self.running -= 1
        if any(ask.name == "bad" for ask in asks):
            raise ValueError("bad")
        return [ask.name.upper() for ask in asks]


@dataclass
class Version:
    """What answers the batches of one batcher: a model, and what is said of it when it breaks."""

    answer: Callable[[Sequence[Ask]], Sequence[str]]

    def failure(self) -> ModelFailed:
        return ModelFailed("case", 1)


class VersionBatcher(Batcher[Ask, str]):
    """A batcher whose requests all go to the same version."""

    version: Version

    def submit(self, request: Ask, answerer: Any = None) -> asyncio.Future[str]:
        return super().submit(request, answerer or self.version)


def run(work: Callable[[Callable[..., VersionBatcher]], Any]) -> Any:
    """Run `work` on a loop; it is given a maker of batchers."""

    async def main() -> Any:
        with ThreadPoolExecutor(2) as executor:

            def make(model: Any, max_rows: int = 8, max_waiting: int = 100) -> VersionBatcher:
                loop = asyncio.get_running_loop()
                batcher = VersionBatcher(executor, loop, max_rows=max_rows, max_waiting=max_waiting)
                batcher.version = Version(model)
                return batcher

            return await work(make)

    return asyncio.run(main())


async def ask_all(batcher: VersionBatcher, asks: Sequence[Ask]) -> list[Any]:
    async def one(ask: Ask) -> str:
        return await batcher.submit(ask)

    return list(await asyncio.gather(*map(one, asks), return_exceptions=True))


def test_requests_of_one_turn_share_a_batch() -> None:
    model = Model()

    async def work(make: Any) -> None:
        assert await ask_all(make(model), [Ask("a"), Ask("b"), Ask("c")]) == ["A", "B", "C"]

    run(work)
    assert model.batches == [["a", "b", "c"]]


def test_a_batch_that_was_held_up_sends_none_of_the_next_through_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, took = 0.0, INLINE_SECONDS / 5
    monkeypatch.setattr("service.answers.batcher.perf_counter", lambda: now)

    class Timed(Model):
        def __call__(self, asks: Sequence[Ask]) -> list[str]:
            nonlocal now
            now += took
            return super().__call__(asks)

    model = Timed()

    async def work(make: Any) -> None:
        nonlocal took
        batcher = make(model)
        for seconds in (took, 1.0, took, 1.0, took):
            took = seconds
            await batcher.submit(Ask("x"))
        assert set(model.threads) == {threading.get_ident()}
        took = 1.0  # always, so that it is slow itself
        for _ in range(24):
            await batcher.submit(Ask("x"))
        assert model.threads[-1] != threading.get_ident()

    run(work)


def test_a_lone_request_does_not_wait_even_after_a_burst() -> None:
    async def work(make: Any) -> list[float]:
        batcher = make(Model(0.0001))
        await ask_all(batcher, [Ask(str(number)) for number in range(64)])
        took = []
        for _ in range(30):
            started = perf_counter()
            await batcher.submit(Ask("x"))
            took.append(perf_counter() - started)
        return took

    assert sorted(run(work))[15] < 0.002


def test_what_comes_while_busy_makes_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", -1.0)
    model = Model(0.02)

    async def work(make: Any) -> None:
        batcher = make(model)
        first = batcher.submit(Ask("a"))
        await asyncio.sleep(0.005)
        rest = [batcher.submit(Ask(name)) for name in "bcd"]
        await asyncio.gather(first, *rest)

    run(work)
    assert model.batches == [["a"], ["b", "c", "d"]]
    assert model.together == 1


def test_a_slow_model_runs_off_the_loop_and_a_quick_one_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        service.answers.batcher, "INLINE_SECONDS", 0.02
    )  # far apart also where the machine is busy
    quick, slow = Model(), Model(0.15)

    async def work(make: Any) -> int:
        for model in (quick, slow):
            batcher = make(model)
            for _ in range(4):
                await batcher.submit(Ask("a"))
        return threading.get_ident()

    loop_thread = run(work)
    assert set(quick.threads) == {loop_thread}
    assert slow.threads[-1] != loop_thread


def test_who_is_alone_is_answered_at_once_unless_a_batch_runs_or_the_model_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, here = Model(), threading.get_ident()
    monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", 60.0)

    async def work(make: Any) -> None:
        batcher = make(model)

        def ask(name: str) -> asyncio.Future[str]:
            told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            batcher.add(Ask(name), batcher.version, told, alone=True)
            return told

        assert ask("a").result() == "A"
        assert isinstance(ask("bad").exception(), ModelFailed)
        assert batcher.waiting == 0
        monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", -1.0)
        elsewhere = ask("b")
        assert not elsewhere.done()
        assert await elsewhere == "B"
        while batcher._busy:  # its thread looks whether more has come
            await asyncio.sleep(0.001)
        monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", 60.0)
        shared = batcher.submit(Ask("c"))
        joined = ask("d")
        assert not joined.done()
        assert list(await asyncio.gather(shared, joined)) == ["C", "D"]
        assert ask("e").result() == "E"

    run(work)
    assert model.batches == [["a"], ["bad"], ["b"], ["c", "d"], ["e"]]
    assert [thread == here for thread in model.threads] == [True, True, False, True, True]


def test_a_batch_holds_whole_requests_up_to_its_size() -> None:
    model = Model()

    async def work(make: Any) -> None:
        asks = [Ask("a", 5), Ask("b", 3), Ask("c", 1), Ask("huge", 20), Ask("d", 8), Ask("e", 1)]
        await ask_all(make(model, max_rows=8), asks)

    run(work)
    assert model.batches == [["a", "b"], ["c"], ["huge"], ["d"], ["e"]]


@pytest.mark.parametrize("inline", [-1.0, 1.0], ids=["thread", "loop"])
def test_one_that_breaks_the_model_breaks_no_other(inline: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", inline)

    async def work(make: Any) -> list[Any]:
        return await ask_all(make(Model()), [Ask("a"), Ask("bad"), Ask("c")])

    first, broken, last = run(work)
    assert (first, last) == ("A", "C")
    assert isinstance(broken, ModelFailed)


def test_what_concerns_all_is_told_to_all() -> None:
    def full(_asks: Sequence[Ask]) -> list[str]:
        raise LogUnwritable("no space")

    async def work(make: Any) -> list[Any]:
        return await ask_all(make(full), [Ask("a"), Ask("b")])

    assert [type(result) for result in run(work)] == [LogUnwritable, LogUnwritable]


def test_more_than_may_wait_is_refused_and_the_rest_is_answered() -> None:
    async def work(make: Any) -> list[Any]:
        batcher = make(Model(), max_waiting=10)
        results = await ask_all(batcher, [Ask(str(number), 4) for number in range(4)])
        return [*results, await batcher.submit(Ask("later", 9))]

    results = run(work)
    assert results[:2] == ["0", "1"]
    assert [type(result) for result in results[2:4]] == [Overloaded, Overloaded]
    assert results[4] == "LATER"


def test_a_request_larger_than_the_bound_is_answered_when_nothing_waits() -> None:
    async def work(make: Any) -> str:
        return str(await make(Model(), max_waiting=10).submit(Ask("large", 50)))

    assert run(work) == "LARGE"


def test_a_caller_that_left_disturbs_nobody() -> None:
    async def work(make: Any) -> str:
        batcher = make(Model())
        gone, stays = batcher.submit(Ask("gone")), batcher.submit(Ask("stays"))
        gone.cancel()
        return str(await stays)

    assert run(work) == "STAYS"


def test_many_requests_from_many_tasks_all_get_their_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.answers.batcher, "INLINE_SECONDS", 0.0003)
    model = Model(0.00005)

    async def work(make: Any) -> int:
        batcher = make(model, max_rows=16, max_waiting=10_000)

        async def caller(number: int) -> int:
            for turn in range(50):
                assert await batcher.submit(Ask(f"{number}-{turn}")) == f"{number}-{turn}"
            return 50

        return sum(await asyncio.gather(*(caller(number) for number in range(20))))

    assert run(work) == 1000
    assert sum(map(len, model.batches)) == 1000
    assert model.together == 1
    assert issubclass(ModelFailed, Failed)


def test_more_than_the_model_answers_soon_is_refused_early() -> None:
    model = Model(seconds_a_row=0.002)

    async def work(make: Any) -> None:
        batcher = make(model, max_rows=64, max_waiting=10_000)
        assert not batcher.is_full
        futures = [batcher.submit(Ask(f"{number}", 8)) for number in range(40)]
        assert not batcher.is_full  # nothing is known of the model's pace yet
        await asyncio.gather(*futures)
        # 500 rows a second: about 250 may wait for half a second, however many `max_waiting` allows.
        assert 60 < batcher._room <= 250
        futures = [batcher.submit(Ask(f"{number}", 8)) for number in range(40)]
        assert batcher.is_full
        assert "320 records already wait" in batcher.refusal().message
        await asyncio.gather(*futures)
        assert not batcher.is_full
        # Few callers are no flood, however much each of them asks for.
        futures = [batcher.submit(Ask(f"{number}", 16)) for number in range(LEAST_REQUESTS - 1)]
        assert batcher._waiting > batcher._room
        assert not batcher.is_full
        await asyncio.gather(*futures)

    run(work)


def test_small_batches_say_nothing_of_the_pace() -> None:
    model = Model(seconds_a_row=0.02)

    async def work(make: Any) -> None:
        batcher = make(model, max_rows=64, max_waiting=1000)
        for number in range(5):
            await batcher.submit(Ask(str(number)))
        futures = [batcher.submit(Ask(str(number))) for number in range(30)]
        await asyncio.gather(*futures)
        assert batcher._room == 1000

    run(work)


def test_a_batcher_at_rest_does_not_keep_its_version_in_memory() -> None:
    async def work(_make: Any) -> weakref.ref[Version]:
        with ThreadPoolExecutor(1) as executor:
            batcher: Batcher[Ask, str] = Batcher(
                executor, asyncio.get_running_loop(), max_rows=8, max_waiting=100
            )
            version = Version(Model())
            reference = weakref.ref(version)
            assert await batcher.submit(Ask("a"), version) == "A"
            await asyncio.sleep(0)  # the batcher sees that nothing waits
            del version
            assert reference() is None, gc.get_referrers(reference())
            return reference

    gc.disable()
    try:
        run(work)
    finally:
        gc.enable()
