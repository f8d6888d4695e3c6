"""What is predicted: the task, the classes, how labels are written, and when whose labels count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.schema.base import ColumnName, Fraction, Frozen
from configs.spelling.letters import spelled_like
from configs.spelling.near_names import meant

Task = Literal["binary", "multiclass", "multilabel"]


class TargetConfig(Frozen):
    """What is predicted."""

    task: Task
    """binary (two classes), multiclass, or multilabel (any number of labels each)."""
    column: ColumnName = "label"
    """Column that holds the label in files."""
    classes: tuple[str, ...] = ()
    """Labels allowed. Empty: learned from the training rows."""
    positive: str | None = None
    """The class that precision, recall and F1 speak of (binary); default the second of `classes`."""
    separator: Annotated[str, Field(min_length=1, max_length=3)] = "|"
    """What stands between the labels of one row, in files and in the store (multilabel)."""
    min_label_rows: Annotated[int, Field(gt=0)] = 1
    """Labels with fewer training rows are not learned (multilabel, where `classes` is empty)."""
    thresholds: dict[str, Fraction] = {}
    """Probability from which a label is given (multilabel); those not named are chosen while training."""

    @field_validator("task", mode="before")
    @classmethod
    def _is_no_regression(cls, task: Any) -> Any:
        if isinstance(task, str) and task.casefold() in ("regression", "regressor", "numeric"):
            raise ValueError(
                f"got '{task}'; allowed: binary, multiclass, multilabel. Regression is not supported: "
                "Ratchet learns and judges classes only (docs/models.md); a number can be cut into ranges "
                "that are classes"
            )
        return task

    @model_validator(mode="after")
    def _labels_hold_no_separator(self) -> Self:
        if self.task != "multilabel":
            if self.thresholds:
                raise ValueError("`thresholds` are for multilabel targets only")
            return self
        for label in self.classes:
            if self.separator in label:
                raise ValueError(f"class '{label}' holds the separator '{self.separator}'")
        if self.classes and (unknown := sorted(set(self.thresholds_of(self.classes)) - set(self.classes))):
            near = meant(unknown[0], self.classes)
            raise ValueError(f"thresholds name '{unknown[0]}', which is not one of classes{near}")
        return self

    @model_validator(mode="after")
    def _classes_fit_the_task(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes repeat a value")
        if self.task == "binary" and self.classes and len(self.classes) != 2:
            raise ValueError(f"a binary target has 2 classes, {len(self.classes)} are listed")
        if self.task == "multiclass" and len(self.classes) == 1:
            raise ValueError("a multiclass target needs at least 2 classes, 1 is listed")
        if self.positive is not None and self.task != "binary":
            raise ValueError("`positive` is for binary targets only")
        if self.positive is not None and self.classes and self.positive_of(self.classes) not in self.classes:
            raise ValueError(
                f"positive '{self.positive}' is not one of classes {list(self.classes)}"
                f"{meant(self.positive, self.classes)}"
            )
        return self

    def positive_of(self, classes: Sequence[str]) -> str | None:
        """The class that binary metrics speak of, as a version with these classes spells it.

        It may be none of them where `classes` is learned; None for other tasks.
        """
        if self.task != "binary":
            return None
        return classes[1] if self.positive is None else spelled_like(self.positive, classes)

    def thresholds_of(self, classes: Collection[str]) -> dict[str, float]:
        """`thresholds` by label as a version with these classes spells it, and of labels it does not know."""
        return {spelled_like(label, classes): least for label, least in self.thresholds.items()}


class HoldBackConfig(Frozen):
    """When what a source says is kept, but neither decides nor is learned from or judged on."""

    contradicts: Fraction | None = 0.15
    """Share of its labels that contradict other sources, of rows that both labelled; null: never."""
    min_compared: Annotated[int, Field(gt=0)] = 30
    """Rows that both labelled, before `contradicts` is looked at."""
    floods: Fraction | None = None
    """Share of all labels of `flood_hours` that one source may send where there are others; null: any."""
    min_flood: Annotated[int, Field(gt=0)] = 1000
    """Labels of `flood_hours` that all sources sent, before `floods` is looked at."""
    flood_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 24.0
    """Hours back from now whose labels are looked at."""


class LabelsConfig(Frozen):
    """What labels of several sources are worth."""

    hold_back: HoldBackConfig = HoldBackConfig()
    min_judged: Annotated[int, Field(gt=1)] = 10
    """Held-out rows of all other sources, before a gain is also asked of them alone: few, or a source that
    sends very much would not be asked about."""
    most_loss: Annotated[float, Field(ge=0)] | None = 0.01
    """Most that the metric may fall on them, when one source is left out; null: that is not asked."""
    disagrees: Fraction | None = 0.3
    """Told: production agrees with a source less often than with the others, by more than this. If it has a
    name, what is gained must then be proven without its rows too; null: neither."""
