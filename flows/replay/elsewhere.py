"""Fits of a replay by the workers of a cluster: sent with what they need, and kept here as if made here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from features.pretrained.keeping import vectors_kept
from flows.compute import inside
from flows.compute.contract import Pool
from flows.replay.fits import Wanted
from flows.replay.incremental import play_incremental
from flows.replay.plan import Plan
from flows.replay.playing import Played
from flows.replay.workers import LATER, Workers, stage_of


@dataclass(frozen=True)
class SentFit:
    """A fit that was made elsewhere, as its files are."""

    answers: bytes
    version: bytes | None
    """The version that a warm start may continue from, packed; None: none may."""


class ClusterWorkers(Workers):
    """As `Workers`, by a pool that does not see the files here.

    Args:
        plan: which is sent once.
    """

    def __init__(self, pool: Pool, plan: Plan) -> None:
        super().__init__(_Sending(pool), [None] * pool.width)
        self._elsewhere = pool
        self._plan = plan
        self._sent = pool.share(replace(plan, home=None))

    def learner(self, name: str) -> Future[Played]:
        """Have a model played that learns row by row."""
        return self.submit(LATER, play_there, self._sent, name)

    def order_fit(self, loop: str, key: str, wanted: Wanted, urgency: float) -> Future[None]:
        """Have a fit made; it is done when its files are here."""
        versions = self._plan.versions / loop
        parent = wanted.parent
        packed = None if parent is None else self._elsewhere.share_folder(versions / parent.key)
        kept: Future[None] = Future()
        made = self.submit(urgency, fit_there, self._sent, loop, key, wanted, packed)
        made.add_done_callback(partial(self._keep, kept, loop, key))
        return kept

    def _keep(self, kept: Future[None], loop: str, key: str, made: Future[SentFit]) -> None:
        error = CancelledError() if made.cancelled() else made.exception()
        try:
            if error is None:
                sent = made.result()
                if sent.version is not None and not (self._plan.versions / loop / key).exists():
                    inside.unpack_folder(sent.version, self._plan.versions / loop / key)
                self._plan.fits.mkdir(parents=True, exist_ok=True)
                draft = self._plan.fits / f".{key}.{os.getpid()}.npz"
                draft.write_bytes(sent.answers)
                draft.replace(self._plan.fits / f"{key}.npz")
        except Exception as fault:  # noqa: BLE001 - a full disk, or whatever it is: who waits is told
            error = fault
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)


class _Sending:
    """Takes work as processes of this machine do, and sends it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, _on_core: Callable[..., Any], _core: None, work: partial[Any]) -> Future[Any]:
        return self._pool.submit(work.func, *work.args)


@contextmanager
def started_there(plan: Plan, pool: Pool) -> Iterator[Workers]:
    """Workers of a pool that have the plan; what they are at is given up when this is left early."""
    workers = ClusterWorkers(pool, plan)
    try:
        yield workers
    except BaseException:
        pool.close()
        raise
    finally:
        workers.give_up()


def fit_there(sent: Any, loop: str, key: str, wanted: Wanted, parent: Any) -> SentFit:
    """On a worker: the fit, made of what was sent along alone."""
    plan = _plan_there(sent)
    versions = plan.versions / loop
    if wanted.parent is not None and parent is not None:
        versions.mkdir(parents=True, exist_ok=True)
        place = versions / wanted.parent.key
        if not place.exists():
            with suppress(FileExistsError):  # another thread here goes on from it too
                place.symlink_to(inside.folder_of(parent), target_is_directory=True)
    with vectors_kept(inside.own_folder(), threads=1):
        stage_of(plan, loop).fits.get(wanted)
    version = inside.pack_folder(versions / key) if wanted.is_kept and (versions / key).exists() else None
    return SentFit((plan.fits / f"{key}.npz").read_bytes(), version)


def play_there(sent: Any, name: str) -> Played:
    """On a worker: a model that learns row by row, from the beginning."""
    plan = _plan_there(sent)
    plan.folder.mkdir(parents=True, exist_ok=True)
    return play_incremental(stage_of(plan), name, plan.folder / f"{name}.pickle")


def _plan_there(sent: Any) -> Plan:
    plan: Plan = inside.value_of(sent)
    return replace(plan, folder=inside.own_folder() / "replays" / plan.folder.name)
