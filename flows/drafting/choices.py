"""The model, the rows held out, and the metric that decides, as they suit a file; each with its why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from flows.drafting.errors import CannotDraft
from flows.drafting.pictures.linked import PictureFiles
from flows.drafting.pictures.pixel_columns import Picture
from flows.drafting.target import Target

Kind = Literal["tabular", "image", "text", "mixed"]

LEAST_ROWS = 20
"""Labelled rows, of which half or more are learned from and the others judged on."""
BALANCED, RARE = 0.3, 0.1
"""Share of the rarer of two classes, from which accuracy is told, and below which F1 of that class is."""
EVEN = 0.9
"""Entropy of several classes, as a share of the most that it can be, from which they count as balanced."""
HOLDOUT_ROWS, GATE_ROWS = 100, 100
"""The usual least rows to hold out and to judge by."""
FEW_ROWS = 500
MOST_JUDGED, LEAST_SHARE = 5000, 0.01
"""Rows that are judged on at most: a larger share of all would be kept from learning for nothing."""
MANY_CLASSES = 20
MANY_CELLS = 3_000_000


@dataclass(frozen=True)
class Choice:
    """A section of the file, and why it is so, by key."""

    values: dict[str, Any]
    why: dict[str, str]


def choose_model(
    kind: Kind, target: Target, rows: int, columns: int, picture: Picture | PictureFiles | None = None
) -> Choice:
    """The estimator and what differs from its defaults.

    Raises:
        CannotDraft: nothing learns such a target from pictures.
    """
    if kind == "image":
        return _for_pictures(target, picture)
    if kind == "text":
        return Choice({"estimator": "linear_text"}, {"": "texts only: a linear model of their words"})
    if kind == "mixed" and target.task != "multilabel" and len(target.classes) <= MANY_CLASSES:
        why = "texts beside other columns: boosted trees over the columns and what is said of the texts"
        return Choice({"estimator": "catboost_mixed"}, {"": why})
    if kind == "mixed" or target.task == "multilabel":
        labels = target.task == "multilabel"
        because = "several labels a row" if labels else "texts beside other columns, many classes"
        epochs = 10 if rows >= 5000 else 30
        return Choice(
            {"estimator": "keras_mixed", "params": {"epochs": epochs}}, {"": f"{because}: a small network"}
        )
    why = "numbers and categories: boosted trees"
    if len(target.classes) > MANY_CLASSES or rows * columns * len(target.classes) > MANY_CELLS * 10:
        iterations = 100 if len(target.classes) > MANY_CLASSES else 200
        why += (
            f"; {iterations} of them, as {len(target.classes)} classes of so many rows and columns take time"
        )
        return Choice({"estimator": "catboost", "params": {"iterations": iterations}}, {"": why})
    return Choice({"estimator": "catboost"}, {"": why})


def _for_pictures(target: Target, picture: Picture | PictureFiles | None) -> Choice:
    if target.task == "multilabel":
        raise CannotDraft(
            f"target '{target.column}': {target.why}; pictures are learned with one label each, "
            "--task multiclass takes each set of labels for a class"
        )
    if isinstance(picture, PictureFiles) and (picture.colour or not picture.small):
        what = "pictures in colour" if picture.colour else "grey pictures of more than strokes"
        return Choice({"estimator": "keras_resnet"}, {"": f"{what}: a small residual network"})
    small = {"kernel": 3, "padding": "same"}
    return Choice({"estimator": "keras_cnn", "params": small}, {"": "small grey pictures: two convolutions"})


def choose_metric(target: Target) -> Choice:
    """The metric that suits how many rows the classes have."""
    if target.task == "multilabel":
        return Choice({"metric": "f1_micro"}, {"metric": "any number of labels: F1 over all of them"})
    total, shares = sum(target.rows.values()), sorted(target.rows.values())
    least = shares[0] / total
    if target.task == "binary":
        rarer = min(target.rows, key=lambda label: target.rows[label])
        if least >= BALANCED:
            return Choice({"metric": "accuracy"}, {"metric": f"the rarer class has {least:.0%} of the rows"})
        if least < RARE and rarer == target.positive:
            why = f"'{rarer}' has {least:.1%} of the rows: accuracy would hardly see it"
            return Choice({"metric": "f1"}, {"metric": why})
        why = f"the rarer class has {least:.0%} of the rows: both classes count alike"
        return Choice({"metric": "f1_macro"}, {"metric": why})
    entropy = -sum(count / total * math.log(count / total) for count in shares) / math.log(len(shares))
    if entropy >= EVEN:
        return Choice(
            {"metric": "accuracy"}, {"metric": f"no class is much rarer than others ({least:.1%} or more)"}
        )
    why = f"classes of {least:.1%} to {shares[-1] / total:.0%} of the rows count alike"
    return Choice({"metric": "f1_macro"}, {"metric": why})


def choose_rows(labelled: int, *, has_time: bool) -> tuple[Choice, dict[str, Any]]:
    """What is held out and how much is needed to learn, and what the gate asks for.

    Raises:
        CannotDraft: there are too few rows.
    """
    if labelled < LEAST_ROWS:
        raise CannotDraft(
            f"{labelled} labelled rows; allowed: {LEAST_ROWS} or more, as some are learned from and the "
            "others judged on"
        )
    values: dict[str, Any] = {}
    why: dict[str, str] = {}
    small = labelled < FEW_ROWS
    fraction = 0.3 if small else 0.2
    held_out = min(round(fraction * labelled), MOST_JUDGED)
    if has_time and not small:
        why["holdout"] = "drawn by chance from the rows that came since the last model; at first from all"
        holdout: dict[str, Any] = {"by": "time", "fraction": fraction}
    elif small:
        holdout = {"by": "time", "fraction": fraction, "min_rows": min(held_out, HOLDOUT_ROWS)}
        why["holdout"] = (
            f"few rows: {held_out} of {labelled} are held out, drawn by chance whatever their order"
        )
    else:
        fraction = min(fraction, max(LEAST_SHARE, round(MOST_JUDGED / labelled, 3)))
        holdout = {"by": "hash", "fraction": fraction}
        why["holdout"] = (
            "a fixed share of all rows, drawn by chance whatever their order: other models can be tried"
        )
    values["holdout"] = holdout
    least = labelled - held_out
    if least < 2 * 50:
        values["min_rows"] = max(2, least // 2)
        why["min_rows"] = f"{labelled} rows are fewer than is usual; more labels make a better model"
    gate: dict[str, Any] = {}
    if held_out < GATE_ROWS * 1.25:
        gate["min_rows"] = max(10, held_out // 2)
    return Choice(values, why), gate
