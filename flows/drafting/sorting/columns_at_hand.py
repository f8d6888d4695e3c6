"""The columns that are not sorted yet, and those that are left out by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.drafting import keys
from flows.drafting.columns import Facts, Guess, Reason, facts_of, guess
from flows.drafting.declarations import Declared
from flows.drafting.pictures.linked import PictureFiles, find_picture_files
from flows.drafting.pictures.pixel_columns import Picture, find_picture
from flows.drafting.sample import Column, Sample
from flows.drafting.target import Target
from flows.drafting.wishes import Wishes


@dataclass(frozen=True)
class LeftOut:
    """A column that is no field."""

    column: str
    reason: Reason
    why: str


class Sorting:
    """Goes through the columns once; what is taken out of them is no field."""

    def __init__(
        self,
        sample: Sample,
        declared: Declared,
        target: Target,
        wishes: Wishes,
        missing: Sequence[str],
    ) -> None:
        self.sample, self.files, self.target, self.wishes = sample, declared.files, target, wishes
        self.missing = missing
        self.rest = {name: column for name, column in sample.columns.items() if name != target.column}
        self.facts: dict[str, Facts] = {}
        self.guesses: dict[str, Guess] = {}
        self.left_out: dict[str, LeftOut] = {}
        self.row_numbers: list[str] = []
        self.of_picture: list[Column] = []
        self.warnings: list[str] = [*target.warnings, *declared.doubts]
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
            self.leave(name, "asked", "as asked for (--leave-out)")
        for name in repeated & set(self.rest):
            self.leave(name, "repeated", "its name stands in the header more than once")
        for name in self.sample.added:
            if name in self.rest and not self.is_asked(name):
                self.leave(name, "added", "the name of the list that the row stands in, which no request has")

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
            self.leave(other, "beside", f"a picture is learned from alone, here '{name}'")
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
                self.leave(name, "row_number", numbered)
            elif found.kind is None and not (keys.id_reason(facts, found) or keys.group_reason(facts)):
                self.leave(name, found.reason or "one_off", found.why)

    def leave_out_duplicates(self) -> None:
        """Columns that say what one before them says."""
        own = (self.wishes.id_column, self.wishes.time_column, self.wishes.group, *self.wishes.keep)
        for name, same in keys.duplicates(list(self.rest.values())).items():
            if name not in own:
                self.leave(name, "duplicate", f"the same as '{same}' in every row")

    def leave(self, name: str, reason: Reason, why: str) -> None:
        """It is no field, nor looked at any more."""
        self.rest.pop(name, None)
        self.left_out[name] = LeftOut(name, reason, why)

    def is_asked(self, name: str) -> bool:
        """Whether the person wants it kept."""
        return name in self.wishes.keep
