"""Fits of a replay, each made once: what a model that learned from some rows answers to all others.

Kept on disk as soon as it is made, under a name that tells what it learned from and how: a replay that was
killed goes on where it was, and another policy that wants the same fit has it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, UseCase
from features.records.contract import take
from flows.replay.history import History, Places
from flows.replay.versions import Versions
from models.errors import CannotUpdate, ModelError, TrainingError
from models.estimators.blend import Blend
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import threshold_array
from models.passing_faults import is_passing
from models.versions.fitting import FittedModel, fit_challenger
from models.versions.predictor import Answers

ASKED_AT_ONCE = 4096
"""Rows that a model is asked about in one call, to bound memory."""


@dataclass(frozen=True, eq=False)
class Cut:
    """How the rows of a blend are cut, and what its members count for."""

    ages: NDArray[np.int64]
    """How many retrains ago each training row came, shape (n,)."""
    weights: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Parent:
    """The fit that a warm start continues from."""

    key: str
    learned: Places
    """Places of the rows that it has learned from."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A fit that somebody asks for."""

    challenger: ChallengerConfig
    train: Places
    """Places of the rows that it has learned from in the end."""
    cut: Cut | None = None
    parent: Parent | None = None
    """What a warm start continues from."""
    is_kept: bool = False
    """Whether a warm start may continue from it."""

    @property
    def size(self) -> int:
        """Rows that it learns from, once for each member at most: how long it takes beside others."""
        rows = len(self.train) - (0 if self.parent is None else len(self.parent.learned))
        window = self.challenger.window
        most = window if isinstance(window, int) else rows
        return min(rows, most) * max(1, len(self.challenger.members))


Elsewhere = Callable[[Sequence[tuple[str, Wanted]]], None]
"""Makes fits, each with its name, in other processes; returns when they are in the folder."""


@dataclass(frozen=True)
class FitAnswers:
    """What one fit answers to the rows that it has not learned from."""

    classes: tuple[str, ...]
    thresholds: NDArray[np.float32] | None
    separator: str
    asked: Places
    """Places of those rows in the history, rising."""
    probabilities: NDArray[np.float32]
    """Shape (rows asked, classes)."""
    fit_seconds: float
    """Processor time of the fit itself."""
    failure: str | None = None
    """Why there is no model, where there is none."""
    members: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Probabilities of each member, shape (rows asked, classes), where it is a blend."""

    @property
    def positive(self) -> str | None:
        """The second of two classes."""
        return self.classes[1] if len(self.classes) == 2 else None

    def to(self, places: Places, member: str | None = None) -> Answers:
        """The answers, or those of one member, to rows of the history that it has not learned from."""
        found = np.searchsorted(self.asked, places)
        probabilities = self.probabilities if member is None else self.members[member]
        return Answers(self.classes, probabilities[found], self.thresholds, self.separator)

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """The label that each row asked gets, as labels are stored."""
        answers = Answers(self.classes, self.probabilities, self.thresholds, self.separator)
        return np.array(answers.labels, dtype=object)

    def right(self, history: History, places: Places) -> NDArray[np.bool_]:
        """Which of these rows it answers rightly."""
        answers = self.labels[np.searchsorted(self.asked, places)]
        return np.asarray(answers == history.rows.labels[places], dtype=np.bool_)


class FitStore:
    """The fits of one history and one configuration of the model, in a folder.

    Args:
        elsewhere: who makes those that are prepared; None: they are made here when they are needed.
        versions: where those are written that a warm start may continue from.
    """

    def __init__(
        self,
        folder: Path,
        history: History,
        use_case: UseCase,
        elsewhere: Elsewhere | None = None,
        versions: Versions | None = None,
    ) -> None:
        self.folder = folder
        self.versions = versions or Versions(folder / "versions")
        self._elsewhere = elsewhere
        self.history = history
        self.use_case = use_case
        self.asked_for: dict[str, float] = {}
        """Name of each fit that was asked for to its processor time in seconds."""
        self._memory: dict[str, FitAnswers] = {}

    def prepare(self, wanted: Sequence[Wanted]) -> None:
        """Have those made side by side that are not there."""
        if self._elsewhere is not None:
            named = [(self.key(one), one) for one in wanted if not self.has(one)]
            self._elsewhere(named)

    def get(self, wanted: Wanted) -> FitAnswers:
        """The fit, from memory, from disk, or made now."""
        key = self.key(wanted)
        if key not in self._memory:
            self._memory[key] = self._load(key) or self._make(key, wanted)
        self.asked_for[key] = self._memory[key].fit_seconds
        return self._memory[key]

    def keep_version(self, wanted: Wanted) -> None:
        """See to it that a warm start can continue from a fit; it is made anew where no version is left."""
        if not self.versions.has(self.key(wanted)):
            make_fit(self.history, self.use_case, wanted, self.versions, self.key(wanted))

    def has(self, wanted: Wanted) -> bool:
        """Whether it has been made."""
        key = self.key(wanted)
        return key in self._memory or self._file(key).exists()

    def key(self, wanted: Wanted) -> str:
        """Name of a fit: of how it is made, and of which rows."""
        return fit_key(self.use_case, wanted)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _load(self, key: str) -> FitAnswers | None:
        try:
            with self._file(key).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                about = json.loads(str(kept["about"]))
                return FitAnswers(
                    tuple(about["classes"]),
                    None if about["thresholds"] is None else np.array(about["thresholds"], dtype=np.float32),
                    self.use_case.target.separator,
                    kept["asked"],
                    kept["probabilities"],
                    about["fit_seconds"],
                    about["failure"],
                    {name: kept[f"member.{name}"] for name in about["members"]},
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def _make(self, key: str, wanted: Wanted) -> FitAnswers:
        answers = make_fit(
            self.history, self.use_case, wanted, self.versions, key if wanted.is_kept else None
        )
        about = {
            "classes": answers.classes,
            "thresholds": None if answers.thresholds is None else answers.thresholds.tolist(),
            "fit_seconds": answers.fit_seconds,
            "failure": answers.failure,
            "members": list(answers.members),
        }
        members = {f"member.{name}": one for name, one in answers.members.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{key}.{os.getpid()}.npz"
        arrays: dict[str, NDArray[Any]] = {
            "about": np.array(json.dumps(about)),
            "asked": answers.asked,
            "probabilities": answers.probabilities,
        }
        np.savez(draft, allow_pickle=False, **arrays, **members)
        draft.replace(self._file(key))
        return answers


def fit_key(use_case: UseCase, wanted: Wanted) -> str:
    """Name of a fit: of how it is made, and of which rows."""
    challenger, train, cut = wanted.challenger, wanted.train, wanted.cut
    use_case = use_case.for_challenger(challenger)
    recipe = {
        "model": use_case.model.model_dump(mode="json"),
        "features": use_case.features.model_dump(mode="json"),
        "seed": use_case.training.seed,
        "validation": use_case.training.validation,
        "challenger": {key: value for key, value in challenger.recipe().items() if key != "name"},
    }
    hashed = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    hashed.update(np.ascontiguousarray(train, dtype="<i8").tobytes())
    if cut is not None:
        hashed.update(np.ascontiguousarray(cut.ages, dtype="<i8").tobytes())
        hashed.update(json.dumps(dict(cut.weights), sort_keys=True).encode())
    if wanted.parent is not None:
        hashed.update(wanted.parent.key.encode())
    return hashed.hexdigest()[:32]


def make_fit(
    history: History,
    use_case: UseCase,
    wanted: Wanted,
    versions: Versions | None = None,
    name: str | None = None,
) -> FitAnswers:
    """Fit a challenger on these rows, and ask it about all later ones and those left out among them.

    One that cannot be made answers nothing, and says why.

    Args:
        versions: where the parent of a warm start is.
        name: of the version that is written there; None: none is.

    Raises:
        TrainingError: it cannot be made for what this machine lacks now, such as memory: that says nothing of
            the policy that wants it.
    """
    train = wanted.train
    asked = np.setdiff1d(np.arange(train.min(initial=0), len(history)), train)
    began = time.process_time()
    try:
        fitted = _fit(history, use_case, wanted, versions)
        seconds = time.process_time() - began
        if versions is not None and name is not None:
            versions.write(name, fitted, use_case, history, asked)
    except ModelError as error:
        if is_passing(error):
            raise TrainingError(
                f"a fit of '{wanted.challenger.name}' failed for what the machine lacks now: {error}; "
                "what was fitted is kept: the same command goes on there, and `--jobs 1` needs least"
            ) from error
        nothing = np.zeros((len(asked), 0), dtype=np.float32)
        seconds = time.process_time() - began
        return FitAnswers((), None, use_case.target.separator, asked, nothing, seconds, str(error))
    thresholds = threshold_array(fitted.thresholds, fitted.classes) if fitted.thresholds else None
    probabilities, members = _ask(history, fitted, asked)
    return FitAnswers(
        fitted.classes,
        thresholds,
        use_case.target.separator,
        asked,
        probabilities,
        seconds,
        members=members,
    )


def _fit(history: History, use_case: UseCase, wanted: Wanted, versions: Versions | None) -> FittedModel:
    rows, cut, parent = history.rows, wanted.cut, wanted.parent
    train = wanted.train if parent is None else np.setdiff1d(wanted.train, parent.learned)
    if not len(train):
        raise CannotUpdate("there are no training rows that it has not learned from")
    return fit_challenger(
        use_case,
        take(rows.columns, train),
        rows.labels[train].tolist(),
        challenger=wanted.challenger,
        watch=SilentWatch(),
        parent=None if parent is None or versions is None else versions.path(parent.key),
        ages=None if cut is None else cut.ages,
        weights=None if cut is None else cut.weights,
        times=rows.time[train],
    )


def _ask(
    history: History, fitted: FittedModel, asked: Places
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """What it answers to rows, and what each member of a blend does."""
    probabilities = np.zeros((len(asked), len(fitted.classes)), dtype=np.float32)
    blend = fitted.estimator.members if isinstance(fitted.estimator, Blend) else ()
    members = {one.name: np.zeros_like(probabilities) for one in blend}
    for start in range(0, len(asked), ASKED_AT_ONCE):
        some = asked[start : start + ASKED_AT_ONCE]
        x = fitted.encoder.encode(take(history.rows.columns, some))
        for one in blend:
            members[one.name][start : start + len(some)] = one.estimator.predict_proba(x)
        if not blend:
            probabilities[start : start + len(some)] = fitted.estimator.predict_proba(x)
    for one in blend:
        probabilities += one.weight * members[one.name]
    return probabilities, members
