"""What identifies a row, whose it is and when it was: as asked for, or as the columns show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import Any

from configs.schema.files import FilesConfig
from flows.drafting import keys
from flows.drafting.errors import CannotDraft
from flows.drafting.keys import Key
from flows.drafting.sample import Column, count_different
from flows.drafting.sorting.columns_at_hand import LeftOut, Sorting

MANY_EQUAL = 0.05
"""Share of equal records, from which the number of the row is worth being its id."""


@dataclass(frozen=True)
class RowKeys:
    """The columns that are keys of a row, where there are some."""

    id: Key | None
    time: Key | None
    time_epoch: str | None
    """What numbers of the time count in, from 1970."""
    group: Key | None


def take_keys(sorting: Sorting, now: datetime) -> RowKeys:
    """Id, group and time of a row; what has no type then is left out.

    Raises:
        CannotDraft: what is asked for as the time holds none.
    """
    found, group, time = _take_id(sorting), _take_group(sorting), _take_time(sorting, now)
    epoch = None if time is None else sorting.guesses[time.column].options.get("epoch")
    for name in [name for name in sorting.rest if sorting.guesses[name].kind is None]:
        sorting.leave(name, sorting.guesses[name].reason or "one_off", sorting.guesses[name].why)
    if found is None:
        _hint_at_ids(sorting)
    return RowKeys(found or _number_of_row(sorting), time, epoch, group)


def _hint_at_ids(sorting: Sorting) -> None:
    """Say how what is left out, and there once in each row, would identify rows."""
    for name, out in sorting.left_out.items():
        if out.reason == "one_off" and keys.is_there_once(sorting.facts[name]):
            option = f"`--id {quote(name)}`"
            why = f"{out.why}; where it says which row it is, {option} has later files correct that row"
            sorting.left_out[name] = replace(out, why=why)


def _number_of_row(sorting: Sorting) -> Key | None:
    """The number of the row as its id, where many records are equal; where there is none, that is told."""
    kept = sorting.sample.kept
    equal = [column for name, column in sorting.rest.items() if name in sorting.guesses]
    equal += map(_by_content, sorting.of_picture)
    labels = sorting.sample.columns[sorting.target.column].values
    again, contradicted = keys.equal_records(equal, labels)
    if again <= MANY_EQUAL * kept:
        return None
    told = f"{again:,} of {kept:,} rows are equal to another in all fields"
    if sorting.row_numbers:
        name = sorting.row_numbers[0]
        sorting.left_out[name] = LeftOut(name, "id", "is the id of the row")
        sorting.warnings.append(
            f"'{name}' is the id of the row, as {told}: a later file in which it begins again would correct "
            f"these rows. Number them on, or take '{name}' out of the configuration, and equal rows count "
            "once"
        )
        return Key(
            name, f"{told}: the number of the row tells them apart; later files must go on with higher ones"
        )
    other = f", {contradicted:,} of them with different labels" if contradicted else ""
    sorting.warnings.append(
        f"{told}{other}: a record counts once, with its newest label, where no column identifies a row (--id)"
    )
    return None


def _take_id(sorting: Sorting) -> Key | None:
    wishes, taken = sorting.wishes, None
    if wishes.id_column is not None:
        taken = Key(wishes.id_column, "as asked for (--id)")
        _ensure_identifies(sorting, wishes.id_column)
    else:
        others = {wishes.time_column, wishes.group, *wishes.keep}
        for name, found in list(sorting.guesses.items()):
            if name not in sorting.rest or name in others or keys.group_reason(sorting.facts[name]):
                continue
            reason = keys.id_reason(sorting.facts[name], found)
            if reason is not None and taken is None:
                taken = Key(name, reason)
            elif reason is not None or found.reason == "id":
                sorting.leave(name, "id", reason or found.why)
    if taken is not None:
        sorting.leave(taken.column, "id", "is the id of the row")
    return taken


def _ensure_identifies(sorting: Sorting, name: str) -> None:
    """Refuse an id that comes again: of the rows of one id only the newest counts.

    Raises:
        CannotDraft: more than a few of its values do.
    """
    rows, distinct = count_different(sorting.sample, FilesConfig.model_validate(sorting.files), name)
    again = rows - distinct
    told = f"column '{name}' has {distinct:,} different values in {rows:,} rows"
    if again > MANY_EQUAL * rows:
        raise CannotDraft(
            f"--id: {told}: of the rows of one id only the newest counts, so {again:,} would be lost; "
            f"allowed: a column of which at most {MANY_EQUAL:.0%} of the rows come again. Did you mean "
            f"--group {name}, which keeps them all?"
        )
    if again:
        sorting.warnings.append(
            f"{told}: of the rows of one id the newest counts, so {again:,} are taken for earlier states"
        )


def _take_group(sorting: Sorting) -> Key | None:
    taken = None
    if (asked := sorting.wishes.group) is not None:
        taken = Key(asked, "as asked for (--group)")
    else:
        for name in sorting.rest:
            reason = None if sorting.is_asked(name) else keys.group_reason(sorting.facts[name])
            if reason is not None:
                taken = Key(name, reason)
                break
    if taken is not None:
        sorting.leave(taken.column, "group", "says whose the row is")
    return taken


def _take_time(sorting: Sorting, now: datetime) -> Key | None:
    times = {
        name: found
        for name, found in sorting.guesses.items()
        if name in sorting.rest and found.kind == "datetime"
    }
    if (asked := sorting.wishes.time_column) is not None:
        if asked not in times:
            why = sorting.guesses[asked].why
            raise CannotDraft(f"--time: column '{asked}' holds no times as they are read: {why}")
        taken: Key | None = Key(asked, "as asked for (--time)")
    else:
        own = {name: found for name, found in times.items() if not sorting.is_asked(name)}
        taken, doubt = keys.time_key(own, sorting.rest, now)
        if doubt is not None:
            sorting.warnings.append(doubt)
    if taken is not None:
        sorting.leave(taken.column, "time", "is the time of the row")
    return taken


def _by_content(column: Column) -> Column:
    """The same, with a hash in the place of a picture's bytes."""

    def short(value: Any) -> Any:
        held = value.get("bytes") if isinstance(value, dict) else value
        return hash(held) if isinstance(held, bytes) else value

    return replace(column, values=[short(value) for value in column.values])
