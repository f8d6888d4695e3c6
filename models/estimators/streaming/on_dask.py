"""XGBoost on a cluster of Dask: parts are sent to workers, which keep their bins and train together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError, TrainingStopped
from models.estimators.arrays import EncodedRows
from models.estimators.fit_watch import Watch
from models.estimators.streaming.cluster_workers import awake
from models.estimators.streaming.parts import LEARNED, losses_of

DONE, STOP = "done", "stop"
"""What is told of a training by the first of its workers, and to it."""
PATIENCE = 30
"""Seconds in which the scheduler has to answer."""
MOST_ATTEMPTS = 3
"""How often a training is begun that loses a worker; one that ends its workers must not do so for ever."""
LOOKS_SECONDS = 3
"""So long after a failure it is looked whether a worker was lost."""
SECONDS = 0.5
"""Between two looks at how far it is, and at whether to stop."""


def train_on_dask(
    client: Any,
    rows: EncodedRows,
    *,
    settings: dict[str, Any],
    trees: int,
    max_bin: int,
    weights: NDArray[np.float32] | None,
    types: Sequence[str] | None,
    watch: Watch,
) -> Any:
    """A booster that the workers of a cluster have trained.

    Each part is on one worker, in turn, and on those only that are there, and heard of, when it begins. Where
    one of them is lost it begins anew with those that are left.

    Args:
        client: of `distributed`, connected.
        settings: parameters of XGBoost.
        trees: rounds of boosting.
        weights: of a row of each class; None: all are 1.
        types: of each column, `c` or `q`; None: all are quantities.

    Raises:
        TrainingStopped: the watch asked for it.
        TrainingError: workers were lost again and again, or none is left.
    """
    told, lost = 0, Exception()
    for _ in range(MOST_ATTEMPTS):
        workers = awake(client)
        if not workers:
            raise TrainingError("the Dask cluster has no worker left to train on; start some and retrain")
        with Followed(client, watch, trees, told) as followed:
            try:
                return _trained(
                    client, rows, workers, followed,
                    settings=settings, trees=trees, max_bin=max_bin, weights=weights, types=types,
                )  # fmt: skip
            except Exception as error:
                if followed.raised is not None or followed.stopped or not _is_one_lost(client, workers):
                    raise
                lost = error
        told = followed.told
    raise TrainingError(
        f"workers were lost {MOST_ATTEMPTS} times while all trained together, perhaps for want of memory"
    ) from lost


def _is_one_lost(client: Any, workers: Sequence[str]) -> bool:
    """Whether one of these workers is gone; the scheduler may hear of it after those that trained with it."""
    until = time.monotonic() + LOOKS_SECONDS
    while set(workers) <= set(awake(client)):
        if time.monotonic() > until:
            return False
        time.sleep(SECONDS)
    return True


def _trained(
    client: Any,
    rows: EncodedRows,
    workers: Sequence[str],
    followed: Followed,
    *,
    settings: dict[str, Any],
    trees: int,
    max_bin: int,
    weights: NDArray[np.float32] | None,
    types: Sequence[str] | None,
) -> Any:
    import xgboost.dask

    with client.as_current():  # arrays of Dask ask for the client that is
        x, y, heavy = _spread(client, rows, workers, weights, followed.watch)
        data = xgboost.dask.DaskQuantileDMatrix(
            client,
            x,
            y,
            weight=heavy,
            missing=np.nan,
            max_bin=max_bin,
            feature_types=types,
            enable_categorical=True,
        )
        found = xgboost.dask.train(
            client,
            settings,
            data,
            num_boost_round=trees,
            evals=[(data, LEARNED)],
            verbose_eval=False,
            callbacks=[made_follower(followed.name)],
        )
    if followed.stopped:
        raise TrainingStopped
    return found["booster"]


class Followed:
    """A training on a cluster, followed from here: what its first worker tells is told to the watch, and what
    the watch asks for is told to the worker.
    """

    def __init__(self, client: Any, watch: Watch, trees: int, told: int = 0) -> None:
        """
        Args:
            told: rounds that the watch has heard of, from an attempt before.
        """
        self.name = f"ratchet-{uuid4()}"
        self.stopped = False
        self.watch, self.told = watch, told
        self.raised: Exception | None = None
        self._trees = trees
        self._done, self._stop = (_variable(f"{self.name}-{part}", client) for part in (DONE, STOP))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Followed:
        self._done.set([])
        self._stop.set(False)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._ended.set()
        self._thread.join()
        if self.raised is None and kind is None and not self.stopped:
            self._tell()
        self._done.delete()
        self._stop.delete()
        if self.raised is not None:
            raise self.raised

    def _follow(self) -> None:
        try:
            while not self._ended.wait(SECONDS):
                self._tell()
                if not self.stopped and self.watch.should_stop():
                    self.stopped = True
                    self._stop.set(True)
        except Exception as error:  # noqa: BLE001 - of the watch; raised where the training was begun
            self.raised, self.stopped = error, True
            self._stop.set(True)

    def _tell(self) -> None:
        """Tell the watch of the rounds that it has not heard of."""
        losses = self._done.get(timeout=PATIENCE)
        for number, loss in enumerate(losses[self.told :], start=self.told + 1):
            self.watch.epoch(number, self._trees, {"loss": loss})
        self.told = max(self.told, len(losses))


def made_follower(name: str) -> Any:
    """A callback for the workers, which agree after each round whether to stop."""
    from xgboost import collective
    from xgboost.callback import TrainingCallback

    class Telling(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            stop = False
            if collective.get_rank() == 0:
                _variable(f"{name}-{DONE}").set(losses_of(evals_log))
                stop = bool(_variable(f"{name}-{STOP}").get(timeout=PATIENCE))
            return bool(collective.broadcast(stop, 0))

    return Telling()


def _spread(
    client: Any, rows: EncodedRows, workers: Sequence[str], weights: NDArray[np.float32] | None, watch: Watch
) -> tuple[Any, Any, Any]:
    """Rows, classes and weights as arrays of Dask, a chunk of each a part, which workers hold."""
    array: Any = import_module("dask.array")
    columns: list[list[Any]] = [[], [], []]
    for place in range(rows.parts):
        if watch.should_stop():
            raise TrainingStopped
        x, y = rows.part(place)
        sent: list[NDArray[Any]] = [np.ascontiguousarray(x), y]
        if weights is not None:
            sent.append(weights[y])
        held = client.scatter(sent, workers=[workers[place % len(workers)]], hash=False)
        for column, future, one in zip(columns, held, sent, strict=False):
            column.append(array.from_delayed(future, shape=one.shape, dtype=one.dtype))
    together = [array.concatenate(column) if column else None for column in columns]
    return together[0], together[1], together[2]


def _variable(name: str, client: Any = None) -> Any:
    """A value that all of a cluster can read and set; without a client, that of the work in hand."""
    from distributed import Variable

    kind: Any = Variable
    return kind(name, client=client)
