"""The draft of a use case: every choice that a file needs, each with its why, as one frozen value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from configs.near_names import meant
from configs.schema.target import Task
from features.records.spellings import parse_truth, spell_word
from flows.drafting import choices, keys, names
from flows.drafting.choices import Choice, Kind
from flows.drafting.columns import Facts, Guess, Reason, facts_of, guess, numbers_of, reads_plainly, times_of
from flows.drafting.declarations import Declared, extra_missing
from flows.drafting.errors import CannotDraft
from flows.drafting.keys import Key
from flows.drafting.leaks import Floats, Matrix, Suspect, codes, suspects
from flows.drafting.pictures.linked import PictureFiles, find_picture_files
from flows.drafting.pictures.pixel_columns import Picture, find_picture
from flows.drafting.sample import DEFAULT_MISSING, Column, Sample, spelled
from flows.drafting.target import Target, read_target

MANY_EQUAL = 0.05
"""Share of equal records, from which the number of the row is worth being its id."""
LEAK_COLUMNS = 2000
"""Columns that are looked at for giving the label away, at most."""


@dataclass(frozen=True)
class Wishes:
    """What the person who asks has decided, whatever the file says."""

    task: Task | None = None
    title: str | None = None
    positive: str | None = None
    id_column: str | None = None
    time_column: str | None = None
    group: str | None = None
    leave_out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftField:
    """A field, and what it goes by."""

    column: str
    config: dict[str, Any]
    why: str


@dataclass(frozen=True)
class LeftOut:
    """A column that is no field."""

    column: str
    reason: Reason
    why: str


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
    _check_wishes(wishes, sample, target_column)
    repeated = keys.repeated_names(list(sample.columns))
    if target_column in repeated:
        raise CannotDraft(
            f"{sample.path}: column '{target_column}' stands there more than once; allowed: once"
        )
    target = read_target(sample.columns[target_column], DEFAULT_MISSING, sample.rows, wishes.task)
    target = _with_positive(target, wishes.positive)
    reads = reads_plainly(declared.files)
    others = [column for column in sample.columns.values() if column.name != target_column]
    marks = extra_missing(others, reads, set(target.classes))
    missing = (*DEFAULT_MISSING, *marks)
    drafting = _Drafting(
        sample, declared, target, wishes, missing, now or datetime.now(UTC).replace(tzinfo=None)
    )
    drafting.leave_out_plainly(repeated)
    picture = drafting.take_picture()
    drafting.guess_columns()
    drafting.leave_out_duplicates()
    drafting.take_keys()
    if picture is not None:
        drafting.leave_out_beside(picture)
    drafting.suspect()
    fields = drafting.fields(picture)
    if not fields:
        raise CannotDraft(_no_fields(sample, drafting.left_out))
    kind = _kind(fields)
    labelled = sample.rows - target.unlabelled
    has_time = drafting.time is not None
    training, gate = choices.choose_rows(labelled, has_time=has_time)
    return Draft(
        name=name,
        title=wishes.title or _title(name, target),
        kind=kind,
        sample=sample,
        fields=tuple(fields),
        left_out=tuple(drafting.left_out.values()),
        target=target,
        files=Choice(dict(declared.files), {"": "; ".join(declared.why)}),
        missing=tuple(marks),
        missing_why=tuple(marks.values()),
        id_key=drafting.id,
        time_key=drafting.time,
        time_epoch=drafting.time_epoch,
        group=drafting.group,
        model=choices.choose_model(kind, target, labelled, len(fields), picture),
        metric=choices.choose_metric(target),
        training=training,
        gate=gate,
        text_rows=1 if kind == "text" and labelled < 2000 else None,
        suspects=tuple(drafting.found),
        warnings=tuple(drafting.warnings),
    )


class _Drafting:
    """Goes through the columns once; what is taken out of them is no field."""

    def __init__(
        self,
        sample: Sample,
        declared: Declared,
        target: Target,
        wishes: Wishes,
        missing: Sequence[str],
        now: datetime,
    ) -> None:
        self.sample, self.files, self.target, self.wishes, self.now = (
            sample,
            declared.files,
            target,
            wishes,
            now,
        )
        self.missing = missing
        self.rest = {name: column for name, column in sample.columns.items() if name != target.column}
        self.facts: dict[str, Facts] = {}
        self.guesses: dict[str, Guess] = {}
        self.left_out: dict[str, LeftOut] = {}
        self.row_numbers: list[str] = []
        self.of_picture: list[Column] = []
        self.warnings: list[str] = list(target.warnings)
        self.found: list[Suspect] = []
        self.id: Key | None = None
        self.time: Key | None = None
        self.time_epoch: str | None = None
        self.group: Key | None = None
        if target.unlabelled:
            self.warnings.append(
                f"{target.unlabelled:,} of {sample.rows:,} rows have no label: they go to quarantine, "
                "and are neither learned from nor judged on"
            )
        if sample.bad:
            self.warnings.append(
                f"{sample.bad:,} lines of the file are no rows; the first: {sample.bad_reason}"
            )

    def leave_out_plainly(self, repeated: set[str]) -> None:
        """What was asked for, and what no use case can read."""
        for name in self.wishes.leave_out:
            self._leave(name, "asked", "as asked for (--leave-out)")
        for name in repeated & set(self.rest):
            self._leave(name, "repeated", "its name stands in the header more than once")

    def take_picture(self) -> Picture | PictureFiles | None:
        """The columns of a picture."""
        asked = {self.wishes.id_column, self.wishes.time_column, self.wishes.group}
        free = {name: column for name, column in self.rest.items() if name not in asked}
        picture = find_picture(free, self.files) or find_picture_files(free, self.sample)
        if picture is not None:
            self.of_picture = [self.rest.pop(name) for name in sorted(picture.columns)]
        if isinstance(picture, PictureFiles):
            self.warnings += picture.warnings
        return picture

    def leave_out_beside(self, picture: Picture | PictureFiles) -> None:
        """What is no key of a row with a picture."""
        name = picture.stem if isinstance(picture, Picture) else picture.column
        others = list(self.rest)
        for other in others:
            self._leave(other, "beside", f"a picture is learned from alone, here '{name}'")
        if others:
            leave = name if isinstance(picture, PictureFiles) else "each column of it"
            self.warnings.append(
                f"a picture beside other columns is no kind of record: '{name}' alone is learned from; "
                f"--leave-out {leave} learns from the other columns instead"
            )

    def guess_columns(self) -> None:
        """The type of each column."""
        for name, column in list(self.rest.items()):
            facts = facts_of(column, self.missing)
            found = guess(facts, self.files, nested=column.is_nested)
            numbered = keys.row_number(column, facts, is_whole=self.sample.is_whole)
            self.facts[name], self.guesses[name] = facts, found
            if name in self.wishes.keep and found.kind is None and found.reason != "nested":
                self.guesses[name] = Guess("category", f"as asked for (--keep), though: {found.why}")
                continue
            if name in (self.wishes.id_column, self.wishes.time_column, self.wishes.group):
                continue
            if numbered is not None and name not in self.wishes.keep:
                self.row_numbers.append(name)
                self._leave(name, "row_number", numbered)
            elif found.kind is None and not (keys.id_reason(facts, found) or keys.group_reason(facts)):
                self._leave(name, found.reason or "one_off", found.why)

    def leave_out_duplicates(self) -> None:
        """Columns that say what one before them says."""
        own = (self.wishes.id_column, self.wishes.time_column, self.wishes.group, *self.wishes.keep)
        for name, same in keys.duplicates(list(self.rest.values())).items():
            if name not in own:
                self._leave(name, "duplicate", f"the same as '{same}' in every row")

    def take_keys(self) -> None:
        """Id, group and time of a row, as asked for or as they are evident."""
        self._take_id()
        self._take_group()
        self._take_time()
        for name in [name for name in self.rest if self.guesses[name].kind is None]:
            self._leave(name, self.guesses[name].reason or "one_off", self.guesses[name].why)
        equal = [column for name, column in self.rest.items() if name in self.guesses]
        equal += map(_by_content, self.of_picture)
        labels = self.sample.columns[self.target.column].values
        again, contradicted = keys.equal_records(equal, labels)
        if self.id is None and again > MANY_EQUAL * self.sample.kept:
            told = f"{again:,} of {self.sample.kept:,} rows are equal to another in all fields"
            if self.row_numbers:
                name = self.row_numbers[0]
                why = (
                    f"{told}: the number of the row tells them apart; later files must go on with higher ones"
                )
                self.id = Key(name, why)
                self.left_out[name] = LeftOut(name, "id", "is the id of the row")
                self.warnings.append(
                    f"'{name}' is the id of the row, as {told}: a later file in which it begins again would "
                    f"correct these rows. Number them on, or take '{name}' out of the configuration, and "
                    "equal rows count once"
                )
            else:
                other = f", {contradicted:,} of them with different labels" if contradicted else ""
                self.warnings.append(
                    f"{told}{other}: a record counts once, with its newest label, where no column identifies "
                    "a row (--id)"
                )

    def _take_id(self) -> None:
        if (asked := self.wishes.id_column) is not None:
            self.id = Key(asked, "as asked for (--id)")
        else:
            others = {self.wishes.time_column, self.wishes.group, *self.wishes.keep}
            for name, found in list(self.guesses.items()):
                if name not in self.rest or name in others or keys.group_reason(self.facts[name]):
                    continue
                reason = keys.id_reason(self.facts[name], found)
                if reason is not None and self.id is None:
                    self.id = Key(name, reason)
                elif reason is not None or found.reason == "id":
                    self._leave(name, "id", reason or found.why)
        if self.id is not None:
            self._leave(self.id.column, "id", "is the id of the row")

    def _take_group(self) -> None:
        if (asked := self.wishes.group) is not None:
            self.group = Key(asked, "as asked for (--group)")
        else:
            for name in list(self.rest):
                reason = keys.group_reason(self.facts[name]) if not self._is_asked(name) else None
                if reason is not None and self.group is None:
                    self.group = Key(name, reason)
        if self.group is not None:
            self._leave(self.group.column, "group", "says whose the row is")

    def _take_time(self) -> None:
        times = {
            name: found
            for name, found in self.guesses.items()
            if name in self.rest and found.kind == "datetime"
        }
        if (asked := self.wishes.time_column) is not None:
            if asked not in times:
                raise CannotDraft(
                    f"--time: column '{asked}' holds no times as they are read: {self.guesses[asked].why}"
                )
            self.time = Key(asked, "as asked for (--time)")
        else:
            own = {name: found for name, found in times.items() if not self._is_asked(name)}
            self.time, doubt = keys.time_key(own, self.rest, self.now)
            if doubt is not None:
                self.warnings.append(doubt)
        if self.time is not None:
            self.time_epoch = self.guesses[self.time.column].options.get("epoch")
            self._leave(self.time.column, "time", "is the time of the row")

    def suspect(self) -> None:
        """Leave out what gives the label away, unless it is to be kept."""
        if self.target.task == "multilabel":
            return
        values = self.sample.columns[self.target.column].values
        labels = [self.target.label_of(value) for value in values]
        places = [place for place, label in enumerate(labels) if label is not None]
        # An id that repeats, or one that is left out for other reasons, is no candidate any more.
        known = [name for name in self.rest if self.guesses[name].kind is not None][:LEAK_COLUMNS]
        matrix = Matrix(
            {name: self._numbers(name)[places] for name in known},
            frozenset(name for name in known if self.guesses[name].kind == "category"),
            frozenset(name for name in known if self.guesses[name].kind == "text"),
        )
        self.found = suspects(matrix, [label for label in labels if label is not None], self.target.column)
        for one in self.found:
            if one.verdict == "leave_out" and not self._is_asked(one.column):
                self._leave(one.column, "leak", f"suspected leak: {one.why}")
            else:
                self.warnings.append(f"column '{one.column}' is kept, and may give the label away: {one.why}")

    def _numbers(self, name: str) -> Floats:
        column, found, facts = self.rest[name], self.guesses[name], self.facts[name]
        if found.kind in ("number", "integer"):
            known = numbers_of(column.values, self.files)
            return np.array([np.nan if one is None else float(one) for one in known], dtype=np.float64)
        if found.kind == "datetime":
            times = times_of(column.values, found.options.get("epoch"))
            zero = datetime(1970, 1, 1)
            return np.array([np.nan if one is None else (one - zero).total_seconds() for one in times])
        present = set(map(spelled, facts.present))
        texts = [spelled(value) if spelled(value) in present else None for value in column.values]
        if found.kind == "boolean":
            return np.array([np.nan if one is None else float(parse_truth(one)) for one in texts])
        return codes([None if one is None else spell_word(one) for one in texts])

    def fields(self, picture: Picture | PictureFiles | None) -> list[DraftField]:
        """What is left, as fields."""
        return self._plain_fields() if picture is None else [_picture_field(picture)]

    def _plain_fields(self) -> list[DraftField]:
        named = names.field_names(self.rest)
        made = []
        for column in self.rest:
            found = self.guesses[column]
            config = {"name": named[column], "type": found.kind, **found.options}
            if named[column] != column:
                config = {
                    "name": named[column],
                    "column": column,
                    **{k: v for k, v in config.items() if k != "name"},
                }
            if found.doubt is not None:
                self.warnings.append(f"column '{column}': {found.doubt}")
            made.append(DraftField(column, config, found.why))
        return made

    def _leave(self, name: str, reason: Reason, why: str) -> None:
        self.rest.pop(name, None)
        self.left_out[name] = LeftOut(name, reason, why)

    def _is_asked(self, name: str) -> bool:
        return name in self.wishes.keep


def _picture_field(picture: Picture | PictureFiles) -> DraftField:
    source = picture.stem if isinstance(picture, Picture) else picture.column
    name = names.field_names([source])[source]
    config: dict[str, Any] = {"name": name, "type": "image"}
    if isinstance(picture, Picture):
        config["shape"] = [picture.side, picture.side]
        config |= {"range": [picture.darkest, picture.brightest]} if picture.brightest != 255 else {}
    else:
        config |= {"shape": list(picture.shape), "resize": picture.resize}
    config |= {"column": source} if name != source else {}
    return DraftField(source, config, picture.why)


def _by_content(column: Column) -> Column:
    """The same, with a hash in the place of a picture's bytes."""

    def short(value: Any) -> Any:
        held = value.get("bytes") if isinstance(value, dict) else value
        return hash(held) if isinstance(held, bytes) else value

    return replace(column, values=[short(value) for value in column.values])


def _with_positive(target: Target, positive: str | None) -> Target:
    if positive is None:
        return target
    if target.task != "binary" or positive not in target.classes:
        allowed = (
            " or ".join(f"'{one}'" for one in target.classes)
            if target.task == "binary"
            else "two classes only"
        )
        raise CannotDraft(f"--positive: got '{positive}'; allowed: {allowed}")
    return replace(target, positive=positive, positive_why="as asked for (--positive)")


def _check_wishes(wishes: Wishes, sample: Sample, target: str) -> None:
    options = {
        "--id": [wishes.id_column], "--time": [wishes.time_column], "--group": [wishes.group],
        "--leave-out": wishes.leave_out, "--keep": wishes.keep,
    }  # fmt: skip
    for option, columns in options.items():
        for column in columns:
            if column is None:
                continue
            if column == target:
                raise CannotDraft(f"{option}: got '{column}', the target; allowed: another column")
            if column not in sample.columns:
                raise CannotDraft(
                    f"{option}: no column '{column}'{meant(column, sample.columns)} in {sample.path}"
                )


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
    return f"{name}: which {target.column} a record has"[:200]
