"""What the person who asks for a draft has decided, whatever the file says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from configs.schema.target import Task
from configs.spelling.near_names import meant
from flows.drafting.errors import CannotDraft
from flows.drafting.keys import NO_GROUPS
from flows.drafting.sample import Sample
from flows.drafting.target import Target


@dataclass(frozen=True)
class Wishes:
    """Decisions of a person; None or empty: the file decides."""

    task: Task | None = None
    title: str | None = None
    positive: str | None = None
    id_column: str | None = None
    time_column: str | None = None
    group: str | None = None
    leave_out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


def check_wishes(wishes: Wishes, sample: Sample, target: str) -> None:
    """Raises CannotDraft where a column is named that the file has not, or that is the target."""
    options = {
        "--id": [wishes.id_column], "--time": [wishes.time_column], "--group": [wishes.group],
        "--leave-out": wishes.leave_out, "--keep": wishes.keep,
    }  # fmt: skip
    named: dict[str, str] = {}
    for option, columns in options.items():
        for column in columns:
            if column is None:
                continue
            if column == target:
                raise CannotDraft(f"{option}: got '{column}', the target; allowed: another column")
            if column not in sample.columns:
                raise CannotDraft(f"{option}: {sample.path}: {sample.lacks(column, but=target)}")
            if option == "--group" and column in NO_GROUPS:
                raise CannotDraft(
                    f"--group: got '{column}', which every record has for something else; allowed: a column "
                    "of another name"
                )
            if named.setdefault(column, option) != option:
                raise CannotDraft(f"{named[column]} and {option}: both got '{column}'; allowed: one of them")


def with_positive(target: Target, positive: str | None) -> Target:
    """The target with the class that is asked about; raises CannotDraft where it has none of the name."""
    if positive is None:
        return target
    label = target.label_of(positive) if target.task == "binary" else None
    if label is None:
        allowed = (
            " or ".join(f"'{one}'" for one in target.classes) + meant(positive, target.classes)
            if target.task == "binary"
            else "two classes only"
        )
        raise CannotDraft(f"--positive: got '{positive}'; allowed: {allowed}")
    return replace(target, positive=label, positive_why="as asked for (--positive)")
