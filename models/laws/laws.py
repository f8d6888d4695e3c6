"""The laws: each takes a subject, says what it saw, and raises where it is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import CannotUpdate, NoExport, TrainingStopped
from models.estimators.catalogue import KINDS
from models.estimators.contract import Exportable, Updatable, can_update
from models.estimators.fit_watch import SilentWatch, progress_problem
from models.laws.configured import refusal_of
from models.laws.files import is_pickle, strays
from models.laws.subject import CLASSES, HELD_OUT, SEED, Rows, Subject
from models.versions.export import TOLERANCE, measure_parity
from models.versions.probabilities import probabilities_problem
from models.versions.runtime import open_onnx

TASKS = ("binary", "multiclass", "multilabel")
SAME = 1e-5
"""Differences between two ways to the same answer that are rounding."""
LEARNED = 0.6
"""Share of held-out rows that must be right, where a third would be by chance."""
SOME = 20
MOST_LETTERS = 200
Law = Callable[[Subject], str]


class LawBroken(Exception):
    """What was seen instead of what the law asks."""


class NotForThis(Exception):
    """Why a law has nothing to say of a class."""


@dataclass
class FollowingWatch(SilentWatch):
    """Counts what a fit tells and asks; asks it to stop once it has been asked `patience` times."""

    patience: int = 1_000_000_000
    epochs: int = 0
    asked: int = 0
    wrong: str | None = None
    """What it was told first that nobody can follow."""

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """Look at what is told."""
        self._look_at("batch", batch, batches, metrics)

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Count, and look at what is told."""
        self.epochs += 1
        self._look_at("epoch", epoch, epochs, metrics)

    def _look_at(self, call: str, done: Any, of: Any, metrics: Any) -> None:
        problem = progress_problem(done, of, metrics)
        if problem is None and not all(np.isfinite(float(value)) for value in metrics.values()):
            problem = "a metric that is no finite number"
        if problem is not None:
            self.wrong = self.wrong or f"watch.{call} was told {problem}"

    def should_stop(self) -> bool:
        """Whether patience is at its end."""
        self.asked += 1
        return self.asked > self.patience


def says_what_it_can(subject: Subject) -> str:
    """Its class attributes name kinds that there are, this one among them, and one label a row or many."""
    ensure(subject.kind in subject.kinds, f"it says that it does not learn from kind {subject.kind}")
    labels = "one label a row or many" if subject.multilabel else "one label a row"
    return f"kinds {', '.join(subject.kinds)}; {labels}"


def takes_rows_of_its_kind(subject: Subject) -> str:
    """Where it has `refusal`, that says None of rows that it learns, and a sentence of others."""
    estimator = subject.make()
    if getattr(estimator, "refusal", None) is None:
        raise NotForThis("it has no refusal(): it learns every row of its kinds")
    for kind in KINDS:
        for task in TASKS:
            refusal_of(estimator, kind, task)
    reason = refusal_of(estimator, subject.kind, "multiclass")
    ensure(reason is None, f"it refuses rows of kind {subject.kind} with several classes: {reason!s:.200}")
    return f"asked of {len(KINDS)} kinds and {len(TASKS)} tasks"


def refuses_unknown_parameters(subject: Subject) -> str:
    """A parameter that it does not have is refused when it is made, and the message names it."""
    try:
        subject.estimator_class({**subject.params, "no_such_parameter": 1})
    except Exception as error:  # noqa: BLE001
        ensure("no_such_parameter" in str(error), f"the message does not name it: {error!s:.100}")
        return f"{type(error).__name__}: {shorten(str(error), MOST_LETTERS, placeholder=' ...')}"
    raise LawBroken("no_such_parameter was taken without a word: a misspelt one would be too")


def learns(subject: Subject) -> str:
    """It learns a pattern that is plain to see, and tells the watch of at least one epoch."""
    watch = FollowingWatch()
    answers = subject.fit(subject.training, watch=watch).predict_proba(subject.held_out.x)
    right = float((answers.argmax(axis=1) == subject.held_out.y).mean())
    told = f"{right:.0%} of held-out rows right"
    ensure(right >= LEARNED, f"{told}; a third is chance, {LEARNED:.0%} is asked")
    ensure(watch.wrong is None, str(watch.wrong))
    ensure(watch.epochs > 0, "watch.epoch was never called, so nobody can follow a fit")
    return f"{told}; {watch.epochs} epochs told"


def answers_are_probabilities(subject: Subject) -> str:
    """Answers are 32-bit floats (n, classes) between 0 and 1 that sum to 1."""
    return _check_answers(subject.answers, HELD_OUT, sums=True)


def no_rows_get_no_answers(subject: Subject) -> str:
    """Of no rows there are no answers, and no error."""
    answers = subject.fitted.predict_proba(subject.held_out.x[:0])
    ensure(answers.shape == (0, CLASSES), f"shape {answers.shape}; asked: (0, {CLASSES})")
    return f"shape {answers.shape}"


def the_same_seed_makes_the_same_model(subject: Subject) -> str:
    """Rows, parameters and seed decide: a version can be made again."""
    return _compare(subject.fit(subject.training).predict_proba(subject.held_out.x), subject.answers)


def order_changes_no_answer(subject: Subject) -> str:
    """An answer does not depend on where its row stands."""
    return _compare(subject.fitted.predict_proba(subject.held_out.x[::-1].copy())[::-1], subject.answers)


def batch_size_changes_no_answer(subject: Subject) -> str:
    """An answer does not depend on which rows are asked about beside it."""
    alone = [subject.fitted.predict_proba(subject.held_out.x[row : row + 1]) for row in range(SOME)]
    return _compare(np.concatenate(alone), subject.answers[:SOME])


def threads_change_no_answer(subject: Subject) -> str:
    """Several threads may ask at once."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: subject.fitted.predict_proba(subject.held_out.x), range(8)))
    return _compare(np.concatenate(found), np.concatenate([subject.answers] * 8))


def leaves_rows_as_they_are(subject: Subject) -> str:
    """Rows that may not be written to are learned and answered, and are the same afterwards."""
    rows = Rows(subject.training.x.copy(), subject.training.y.copy())
    for array in (rows.x, rows.y):
        array.setflags(write=False)
    estimator = subject.fit(rows)
    estimator.predict_proba(rows.x)
    np.testing.assert_array_equal(rows.x, subject.training.x)
    return "read-only arrays learned and answered"


def save_and_load_agree(subject: Subject) -> str:
    """What is loaded answers as what was saved, with nothing but its folder and its parameters."""
    folder = subject.subfolder("saved")
    subject.fitted.save(folder)
    loaded = subject.estimator_class.load(folder, subject.params)
    return _compare(loaded.predict_proba(subject.held_out.x), subject.answers)


def stays_in_its_folder(subject: Subject) -> str:
    """It writes into the folder that it is given and nowhere else, and reads no pickle when it is loaded."""
    own = subject.estimator_class
    problem = strays(
        subject.fitted.save, lambda folder: own.load(folder, subject.params), subject.subfolder("folder")
    )
    ensure(problem is None, str(problem))
    return "nothing beside it"


def notes_are_sentences(subject: Subject) -> str:
    """`notes` is a sequence of sentences; of none where there is nothing to say."""
    notes: Any = subject.fitted.notes
    listed = isinstance(notes, (tuple, list)) and all(isinstance(one, str) and one.strip() for one in notes)
    ensure(listed, f"notes is {notes!r:.80}; allowed: a tuple of sentences")
    told = shorten("; ".join(notes), MOST_LETTERS, placeholder=" ...")
    return f"{len(notes)} notes{': ' if notes else ''}{told}"


def keeps_no_pickle(subject: Subject) -> str:
    """Servers load no file that runs code: no pickle of any protocol, nor one inside an archive."""
    folder = subject.subfolder("files")
    subject.fitted.save(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ensure(bool(files), "save wrote nothing")
    for path in files:
        ensure(not is_pickle(path), f"{path.name} is a pickle")
    return ", ".join(path.name for path in files)


def stops_when_asked(subject: Subject) -> str:
    """A fit ends soon after the watch asks for it, by TrainingStopped."""
    whole = FollowingWatch()
    subject.fit(subject.training, watch=whole)
    ensure(whole.asked > 0, "watch.should_stop was never called, so no fit can be stopped")
    watch = FollowingWatch(patience=whole.asked // 2)
    try:
        subject.fit(subject.training, watch=watch)
    except TrainingStopped:
        extra = watch.asked - watch.patience
        ensure(extra <= 1, f"it asked {extra} times more after it had been told to stop")
        return f"asked {whole.asked} times in a whole fit; stopped at once"
    raise LawBroken("watch.should_stop said yes, and the fit went on to its end")


def a_class_without_rows_keeps_its_place(subject: Subject) -> str:
    """A class of which no row came has its column all the same."""
    some = subject.training.y != CLASSES - 1
    estimator = subject.fit(Rows(subject.training.x[some], subject.training.y[some]))
    answers = estimator.predict_proba(subject.held_out.x)
    _check_answers(answers, HELD_OUT, sums=True)
    return f"shape {answers.shape}, at most {answers[:, -1].max():.3g} for it"


def its_export_agrees(subject: Subject) -> str:
    """Its ONNX graph answers as it does, one row or many: servers then need nothing of its package."""
    if not isinstance(subject.fitted, Exportable):
        raise NotForThis("it has no export_onnx: servers need its package")
    path = subject.subfolder("graph") / "model.onnx"
    try:
        subject.fitted.export_onnx(path)
    except NoExport as error:
        raise NotForThis(f"it gives no graph: {error}") from error
    tolerance = float(getattr(subject.fitted, "export_tolerance", TOLERANCE))
    run = open_onnx(path)
    parity = measure_parity(subject.fitted, run, subject.held_out.x, tolerance)
    ensure(parity.agrees, f"it differs by {parity.max_difference:.3g}; allowed: {tolerance:g}")
    alone = [run(subject.held_out.x[row : row + 1]) for row in range(SOME)]
    _compare(np.concatenate(alone), subject.answers[:SOME], tolerance)
    told = f"largest difference {parity.max_difference:.3g} on {parity.rows} rows"
    return f"{told}; allowed: {tolerance:g}"


def goes_on_learning(subject: Subject) -> str:
    """A saved and loaded one learns further rows, and stops when asked; the number of classes stays."""
    if not can_update(subject.fitted):
        raise NotForThis("it has no update: `fit: warm` is refused")
    folder = subject.subfolder("parent")
    subject.fitted.save(folder)
    child = subject.estimator_class.load(folder, subject.params)
    assert isinstance(child, Updatable)
    rows = subject.held_out
    try:
        child.update(rows.x, rows.y, seed=SEED, watch=SilentWatch())
    except CannotUpdate as error:
        raise LawBroken(f"it refused rows of classes that it knows: {error}") from error
    moved = np.abs(child.predict_proba(rows.x) - subject.answers).max()
    ensure(moved > 0, "its answers are the very same after it")
    stopped = subject.estimator_class.load(folder, subject.params)
    assert isinstance(stopped, Updatable)
    try:
        stopped.update(rows.x, rows.y, seed=SEED, watch=FollowingWatch(patience=0))
    except TrainingStopped:
        return f"answers moved by up to {moved:.3g}; stopped when asked"
    raise LawBroken("update went on when watch.should_stop said yes")


def learns_label_sets(subject: Subject) -> str:
    """Several labels a row: each has a probability of its own."""
    if not subject.multilabel:
        raise NotForThis("it gives one label a row (class attribute multilabel)")
    answers = subject.fit(subject.training, sets=True).predict_proba(subject.held_out.x)
    _check_answers(answers, HELD_OUT, sums=False)
    return f"between {answers.min():.3g} and {answers.max():.3g}"


LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        says_what_it_can,
        takes_rows_of_its_kind,
        refuses_unknown_parameters,
        learns,
        answers_are_probabilities,
        no_rows_get_no_answers,
        the_same_seed_makes_the_same_model,
        order_changes_no_answer,
        batch_size_changes_no_answer,
        threads_change_no_answer,
        leaves_rows_as_they_are,
        save_and_load_agree,
        keeps_no_pickle,
        stays_in_its_folder,
        notes_are_sentences,
        stops_when_asked,
        a_class_without_rows_keeps_its_place,
        its_export_agrees,
        goes_on_learning,
        learns_label_sets,
    )
}
"""Name to law, in the order in which they are checked."""


def meaning(law: Callable[..., str]) -> str:
    """What a law asks, in a sentence."""
    return inspect.cleandoc(law.__doc__ or "")


def ensure(holds: bool, otherwise: str) -> None:
    """Raise where a law does not hold, with what was seen instead."""
    if not holds:
        raise LawBroken(otherwise)


def _compare(found: NDArray[Any], expected: NDArray[Any], allowed: float = SAME) -> str:
    ensure(found.shape == expected.shape, f"shape {found.shape}; before: {expected.shape}")
    difference = float(np.abs(found - expected).max(initial=0))
    ensure(difference <= allowed, f"answers differ by up to {difference:.3g}; allowed: {allowed:g}")
    return f"largest difference {difference:.3g} on {len(found)} rows"


def _check_answers(answers: NDArray[Any], rows: int, *, sums: bool) -> str:
    problem = probabilities_problem(answers, rows, CLASSES, one_class=sums)
    ensure(problem is None, str(problem))
    ensure(answers.dtype == np.float32, f"type {answers.dtype}; asked: float32")
    low, high = float(answers.min()), float(answers.max())
    return f"shape {answers.shape}, between {low:.3g} and {high:.3g}"
