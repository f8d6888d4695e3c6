"""What the target column holds: the task, the classes, and which rows have no label."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from configs.schema.target import Task
from configs.spelling.near_names import meant
from features.records.labels import MAX_LENGTH
from features.records.spellings import NEVER_VALUES, parse_number, spell_word, trim, word_of
from features.records.times import parse_time
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import Column, spelled
from flows.drafting.spelling.alike import alike_words
from flows.drafting.spelling.gaps import ODD_MARKERS
from flows.drafting.spelling.units import plain_number, quantities

MOST_CLASSES = 1000
MOST_LISTED = 500
"""Classes that are listed; of more, those of the training rows are learned."""
MOST_NUMBERS = 20
"""Different numbers of a target, from which they are quantities rather than classes."""
MOST_BROKEN = 10
"""The same of numbers of which some are no whole ones."""
SEPARATORS = ("|", ";", ",", "/")
LEAST_JOINED = 0.05
"""Share of rows that hold a separator, where a row has several labels."""
LEAST_REUSED = 0.5
"""Share of labels that stand in several sets, where they are joined by chance of no text."""
LEAST_OF_CLASS = 5
"""Rows that two classes need at least: of fewer, those learned from may all be of the other class."""
NUMBER_OF_TRUTH = {"0": "false", "1": "true"}
YES = ("yes", "true", "1", "y", "t", "positive", "pos", "present", "bad", "fraud", "spam", "churn", "churned")
"""In lower case: what binary targets call the class that is asked about."""


@dataclass(frozen=True)
class Target:
    """What is predicted."""

    column: str
    task: Task
    classes: tuple[str, ...]
    """In the file's order of frequency, whatever is listed."""
    rows: dict[str, int]
    """Of each class."""
    unlabelled: int
    """Rows without a label."""
    why: str
    separator: str | None = None
    positive: str | None = None
    positive_why: str = ""
    warnings: tuple[str, ...] = ()
    meant: Mapping[str, str] = field(default_factory=dict)
    """The class that another spelling stands for."""

    @property
    def is_listed(self) -> bool:
        """Whether the classes are few enough to be listed."""
        return len(self.classes) <= MOST_LISTED

    def label_of(self, value: Any) -> str | None:
        """The one class of a value of the file (of several labels, their text); None: no label."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, list):
            return "|".join(sorted(map(spelled, value)))
        word = spell_word(value) if isinstance(value, str) else word_of(value)
        word = None if word is None else self.meant.get(word, word)
        return None if word is None or (word not in self.rows and self.separator is None) else word


def check_task(task: str | None) -> Task | None:
    """A task as it was asked for.

    Raises:
        CannotDraft: there is none of this name.
    """
    known: tuple[Task, ...] = get_args(Task)
    found = next((one for one in known if one == task), None)
    if task is not None and found is None:
        hint = "; regression is not supported" if "regr" in task else ""
        raise CannotDraft(f"--task: got '{task}'; allowed: {', '.join(known)}{meant(task, known)}{hint}")
    return found


def read_target(column: Column, missing: Sequence[str], rows: int, task: Task | None) -> Target:
    """What a target column says.

    Args:
        column: with the counts of the whole file, where its values are not very many.
        missing: marks of no value.
        rows: in the file.
        task: as asked for; None: found out.

    Raises:
        CannotDraft: nothing can be classified by it.
    """
    marks = frozenset(map(trim, missing)) | {""}
    if task is None and not column.is_nested:
        _refuse_quantities(column, marks)
    if (separator := _separator(column, marks, task)) is not None:
        return _many_labels(column, separator, marks)
    if task == "multilabel":
        raise CannotDraft(
            f"target '{column.name}': no text between labels was found ({' '.join(SEPARATORS)} were tried); "
            "allowed with --task multilabel: lists, or labels joined by one of these"
        )
    if column.is_nested or any(isinstance(value, bytes) for value in column.values):
        held = "lists or objects in some rows" if column.is_nested else "bytes"
        raise CannotDraft(
            f"target '{column.name}' holds {held}; allowed: a label, or a list of labels, in each row"
        )
    if column.counts is None:
        raise CannotDraft(
            f"target '{column.name}' has more than {MOST_CLASSES:,} different values in {rows:,} rows; "
            "allowed: a column of classes"
        )
    counts = Counter[str]()
    for value, times in column.counts.items():
        if trim(value) not in marks:
            counts[spell_word(value)] += times
    meant = _truths_meant(counts)
    for word, truth in meant.items():
        counts[truth] += counts.pop(word)
    if not counts:
        raise CannotDraft(f"target '{column.name}' has no value in {rows:,} rows; allowed: a label in each")
    if len(counts) == 1:
        raise CannotDraft(
            f"target '{column.name}' has one value, '{next(iter(counts))}', in all rows; "
            "allowed: two or more classes"
        )
    if len(counts) > MOST_CLASSES:
        raise CannotDraft(
            f"target '{column.name}' has {len(counts):,} different values in {counts.total():,} labelled "
            f"rows; allowed: at most {MOST_CLASSES:,} classes"
        )
    if task is None and len(counts) > 20 and len(counts) > counts.total() / 2:
        raise CannotDraft(
            f"target '{column.name}' has {len(counts):,} different values in {counts.total():,} labelled "
            "rows: nearly every row would be a class of its own; allowed: classes of several rows each"
        )
    return replace(_one_label(column.name, counts, rows - counts.total(), task), meant=meant)


def _one_label(name: str, counts: Counter[str], unlabelled: int, task: Task | None) -> Target:
    classes = tuple(_in_order(counts))
    if bad := [label for label in classes if len(label) > MAX_LENGTH or not label.isprintable()]:
        raise CannotDraft(
            f"target '{name}': class {bad[0][:60]!r} is no label; allowed: up to {MAX_LENGTH} printable "
            "characters"
        )
    if task == "binary" and len(classes) != 2:
        raise CannotDraft(f"target '{name}' has {len(classes)} classes; allowed with --task binary: 2")
    (most, rows), (second, enough) = counts.most_common(2)
    if enough < LEAST_OF_CLASS:
        raise CannotDraft(
            f"target '{name}': '{most}' stands in {rows:,} rows, '{second}' in {enough}, others in no more; "
            f"allowed: two classes of {LEAST_OF_CLASS} rows or more, as some are learned from and the others "
            "judged on"
        )
    warnings = _remarks(counts)
    why = f"{len(classes)} classes: " + ", ".join(
        f"'{label}' {counts[label]:,}" for label, _ in counts.most_common(8)
    )
    why += ", ..." if len(classes) > 8 else ""
    if len(classes) != 2 or task == "multiclass":
        return Target(name, "multiclass", classes, dict(counts), unlabelled, why, warnings=tuple(warnings))
    positive, because = _positive(counts)
    return Target(
        name, "binary", classes, dict(counts), unlabelled, why, None, positive, because, tuple(warnings)
    )


def _truths_meant(counts: Counter[str]) -> dict[str, str]:
    """0 and 1 as the false and true that they mean where both stand there, which a list of classes joins."""
    if counts.keys() <= NUMBER_OF_TRUTH.keys() | {"false", "true"} and counts.keys() & {"false", "true"}:
        return {word: truth for word, truth in NUMBER_OF_TRUTH.items() if word in counts}
    return {}


def _remarks(counts: Counter[str]) -> list[str]:
    """What is doubtful of classes: those that differ in capitals only, and those that may be no label."""
    told = []
    rare = [f"'{label}' ({counts[label]})" for label in _in_order(counts) if counts[label] < 3]
    if rare:
        told.append(
            f"classes with one or two rows cannot be learned and judged both, and stay listed: "
            f"{', '.join(rare[:10])}{' and others' if len(rare) > 10 else ''}"
        )
    alike = [words for words in alike_words(sorted(counts)) if len(words) > 1]
    if alike:
        shown = "; ".join(" and ".join(f"'{word}'" for word in words) for words in alike[:5])
        told.append(
            f"classes that mean the same are learned as different ones: {shown}; where they do mean the "
            "same, write them alike in the file"
        )
    if gaps := [label for label in counts if label.lower() in NEVER_VALUES | ODD_MARKERS]:
        shown = ", ".join(f"'{label}' ({counts[label]:,} rows)" for label in gaps)
        told.append(
            f"{shown} may stand for no label, and is learned as a class; where it is none, take it out of "
            "`target.classes` and add it to `record.missing`"
        )
    return told


def _positive(counts: Counter[str]) -> tuple[str, str]:
    words = [label for label in counts if label.lower() in YES]
    if len(words) == 1:
        return words[0], "by its word"
    rarer = min(counts, key=lambda label: (counts[label], label))
    return rarer, f"the rarer, {counts[rarer]:,} of {counts.total():,}"


def _in_order(counts: Counter[str]) -> list[str]:
    """Numbers by size, words by the alphabet."""
    try:
        return sorted(counts, key=parse_number)
    except ValueError:
        return sorted(counts)


def _refuse_quantities(column: Column, marks: frozenset[str]) -> None:
    """Numbers, whatever their marks and units, and times, that are no classes.

    Raises:
        CannotDraft: it holds such.
    """
    counts = Counter(map(spelled, column.values)) if column.counts is None else column.counts
    counts = Counter({text: rows for text, rows in counts.items() if trim(text) not in marks})
    texts = list(counts)
    found = quantities(texts)
    if found is None:
        if texts and all(map(_is_time, texts[:200])):
            raise CannotDraft(f"target '{column.name}' holds times; allowed: a column of classes")
        return
    if any(re.fullmatch(r"0\d+", trim(text)) for text in texts):
        return  # with zeros before them they are codes
    distinct, numbers = len(set(found.numbers)), found.numbers
    broken = any(not number.is_integer() for number in numbers)
    if distinct <= MOST_NUMBERS and not (broken and distinct > MOST_BROKEN):
        return
    marked = next((text for text in texts if plain_number(text) is None and re.search(r"\d", text)), None)
    written = "" if marked is None else f", written as '{trim(marked)}'"
    labels = ""
    if marked is not None and "," in marked:
        labels = "; labels joined by commas are read with --task multilabel"
    raise CannotDraft(
        f"target '{column.name}' is a quantity: {distinct:,} different numbers in {counts.total():,} rows, "
        f"from {min(numbers):g} to {max(numbers):g}{written}. Regression is not supported: Ratchet learns "
        "classes. Cut the numbers into ranges in a column of their own, or, if they are classes, say "
        f"--task multiclass (at most {MOST_CLASSES:,}){labels}"
    )


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except (ValueError, OverflowError):
        return False
    return True


def _separator(column: Column, marks: frozenset[str], task: Task | None) -> str | None:
    """What stands between the labels of a row, where it has any number of them."""
    if task in ("binary", "multiclass"):
        return None
    if any(isinstance(value, list) for value in column.values):
        return "|"
    texts = [value for value in column.values if isinstance(value, str) and trim(value) not in marks]
    if not texts:
        return None
    for separator in SEPARATORS:
        joined = sum(separator in text for text in texts)
        if joined < (1 if task else max(2, LEAST_JOINED * len(texts))):
            continue
        if task is not None or _are_sets(texts, separator):
            return separator
    return None


def _are_sets(texts: Sequence[str], separator: str) -> bool:
    """Whether parts of texts are labels: fewer than their sets, most in several, none twice in one."""
    sets = {text: [part for part in map(spell_word, text.split(separator)) if part] for text in set(texts)}
    if any(len(set(parts)) < len(parts) for parts in sets.values()):
        return False
    labels = Counter(label for parts in sets.values() for label in parts)
    reused = sum(times > 1 for times in labels.values())
    rows = Counter(label for text in texts for label in sets[text])
    is_closed = len(labels) < len(sets) and reused >= LEAST_REUSED * len(labels)
    return is_closed and sum(rows.values()) >= 3 * len(labels) and all(len(label) <= 60 for label in labels)


def _many_labels(column: Column, separator: str, marks: frozenset[str]) -> Target:
    if any(
        isinstance(value, list) and any(separator in spelled(one) for one in value) for value in column.values
    ):
        separator = next((one for one in "|;~^" if not _holds(column, one)), "|||"[:3])
    labels: Counter[str] = Counter()
    empty = 0
    counted = column.counts.total() if column.counts is not None else len(column.values)
    # The whole file's, where its sets of labels are few enough to have been counted.
    for value in column.counts.elements() if column.counts is not None else column.values:
        parts = value if isinstance(value, list) else [] if value is None else spelled(value).split(separator)
        found = {spell_word(spelled(part)) for part in parts} - marks
        labels.update(found)
        empty += not found
    if len(labels) < 2:
        raise CannotDraft(f"target '{column.name}' has {len(labels)} labels; allowed: two or more")
    if len(labels) > MOST_CLASSES:
        raise CannotDraft(f"target '{column.name}' has {len(labels):,} labels; allowed: {MOST_CLASSES:,}")
    why = f"labels joined by '{separator}'" if not column.is_nested else "lists of labels"
    why += f"; {len(labels)} labels, {labels.total() / max(1, counted):.1f} a row"
    warnings = (f"{empty:,} rows without any label are read as rows that have none",) if empty else ()
    classes = tuple(sorted(labels))
    return Target(column.name, "multilabel", classes, dict(labels), 0, why, separator, warnings=warnings)


def _holds(column: Column, text: str) -> bool:
    return any(text in spelled(one) for value in column.values if isinstance(value, list) for one in value)
