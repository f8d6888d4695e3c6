"""The draft of a use case: every choice that a file needs, each with its why, as one frozen value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flows.drafting import choices, keys
from flows.drafting.choices import Choice, Kind
from flows.drafting.columns import reads_plainly
from flows.drafting.declarations import Declared
from flows.drafting.errors import CannotDraft
from flows.drafting.keys import Key
from flows.drafting.leaks import Suspect
from flows.drafting.sample import DEFAULT_MISSING, Sample
from flows.drafting.sorting.columns_at_hand import LeftOut, Sorting
from flows.drafting.sorting.fields import DraftField, make_fields
from flows.drafting.sorting.giveaways import suspect
from flows.drafting.sorting.row_keys import take_keys
from flows.drafting.spelling.gaps import extra_missing
from flows.drafting.target import Target, read_target
from flows.drafting.wishes import Wishes, check_wishes, with_positive


@dataclass(frozen=True)
class Draft:
    """A use case as it would be written."""

    name: str
    title: str
    kind: Kind
    sample: Sample
    fields: tuple[DraftField, ...]
    left_out: tuple[LeftOut, ...]
    target: Target
    files: Choice
    missing: tuple[str, ...]
    """Marks of no value beyond those that are always read so."""
    missing_why: tuple[str, ...]
    id_key: Key | None
    time_key: Key | None
    time_epoch: str | None
    group: Key | None
    model: Choice
    metric: Choice
    training: Choice
    gate: dict[str, Any] = field(default_factory=dict)
    text_rows: int | None = None
    """`features.text.min_rows`, where there are few rows."""
    suspects: tuple[Suspect, ...] = ()
    warnings: tuple[str, ...] = ()


def draft(
    name: str, declared: Declared, target_column: str, wishes: Wishes, now: datetime | None = None
) -> Draft:
    """Decide everything that a use case needs.

    Raises:
        CannotDraft: the file gives none; the message says why.
    """
    sample = declared.sample
    target, repeated = _target(sample, target_column, wishes)
    others = [column for column in sample.columns.values() if column.name != target_column]
    marks = extra_missing(others, reads_plainly(declared.files), set(target.classes))
    sorting = Sorting(sample, declared, target, wishes, (*DEFAULT_MISSING, *marks))
    sorting.leave_out_plainly(repeated)
    picture = sorting.take_picture()
    sorting.guess_columns()
    sorting.leave_out_duplicates()
    row = take_keys(sorting, now or datetime.now(UTC).replace(tzinfo=None))
    if picture is not None:
        sorting.leave_out_beside(picture)
    found = suspect(sorting)
    fields = make_fields(sorting, picture)
    if not fields:
        raise CannotDraft(_no_fields(sample, sorting.left_out))
    kind, labelled = _kind(fields), sample.rows - target.unlabelled
    training, gate = choices.choose_rows(labelled, has_time=row.time is not None)
    return Draft(
        name=name,
        title=wishes.title or _title(name, target),
        kind=kind,
        sample=sample,
        fields=tuple(fields),
        left_out=tuple(sorting.left_out.values()),
        target=target,
        files=Choice(dict(declared.files), {"": "; ".join(declared.why)}),
        missing=tuple(marks),
        missing_why=tuple(marks.values()),
        id_key=row.id,
        time_key=row.time,
        time_epoch=row.time_epoch,
        group=row.group,
        model=choices.choose_model(kind, target, labelled, len(fields), picture),
        metric=choices.choose_metric(target),
        training=training,
        gate=gate,
        text_rows=1 if kind == "text" and labelled < 2000 else None,
        suspects=found,
        warnings=tuple(sorting.warnings),
    )


def _target(sample: Sample, column: str, wishes: Wishes) -> tuple[Target, set[str]]:
    """What is to be predicted, and the columns whose name stands in the header more than once."""
    check_wishes(wishes, sample, column)
    repeated = keys.repeated_names(list(sample.columns))
    if column in repeated:
        raise CannotDraft(f"{sample.path}: column '{column}' stands there more than once; allowed: once")
    target = read_target(sample.columns[column], DEFAULT_MISSING, sample.rows, wishes.task)
    return with_positive(target, wishes.positive), repeated


def _no_fields(sample: Sample, left_out: dict[str, LeftOut]) -> str:
    if not left_out:
        return f"{sample.path}: the target is its only column; allowed: columns to learn from beside it"
    told = "; ".join(f"'{one.column}': {one.why}" for one in list(left_out.values())[:10])
    return f"{sample.path}: no column is left to learn from: {told}; --keep COLUMN keeps one that can be read"


def _kind(fields: Sequence[DraftField]) -> Kind:
    types = {one.config["type"] for one in fields}
    if types == {"image"}:
        return "image"
    if types == {"text"}:
        return "text"
    return "mixed" if "text" in types else "tabular"


def _title(name: str, target: Target) -> str:
    return f"{name.replace('_', ' ').capitalize()}: {target.column}"[:200]
