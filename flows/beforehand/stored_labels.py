"""Whether stored labels are classes that are configured: a class that was renamed by mistake is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg

from configs.loading import load_selected
from configs.schema import UseCase
from configs.settings import Settings
from configs.spelling.letters import spelled_like
from configs.spelling.near_names import meant
from features.records.labels import LabelContract
from store.database.connection import connect, database_url
from store.database.faults import FAULTS, sentence
from store.feedback.rows import count_by_label

NAMED = 8
"""Classes that a sentence names; of others it says how many there are."""


def told_of_labels(settings: Settings, names: Collection[str]) -> dict[str, str]:
    """Use case -> what no longer fits of its labels; only of those where something is to be told.

    Args:
        names: the use cases to look at, of those that the settings select.
    """
    if not names:
        return {}
    selected = load_selected(settings.config_dirs, settings.use_cases)
    chosen = {name: one for name, one in selected.items() if name in names}
    told = {}
    try:
        with connect(database_url(settings)) as conn:
            for name, one in chosen.items():
                if (problem := labels_left(conn, one)) is not None:
                    told[name] = problem
    except FAULTS as error:
        told |= {name: f"whether its labels fit is not known: {sentence(error)}" for name in chosen}
    return told


def labels_left(conn: psycopg.Connection[Any], use_case: UseCase) -> str | None:
    """Which labels are stored that are no class any more, and which classes no label has; None: all is well.

    A class that is new, which no label has yet, is nothing to tell where all that is stored fits.
    """
    target = use_case.target
    counts = _count_each(
        count_by_label(conn, use_case.name), target.separator if target.task == "multilabel" else None
    )
    if not counts:
        return None
    if not target.classes:
        return _names_of_none(use_case, counts)
    one_label = target.model_copy(update={"task": "multiclass"})  # each by itself
    stored = sorted(counts, key=lambda label: (-counts[label], label))
    classes, refused = LabelContract(one_label, use_case.record.missing).check(stored)
    left = [label for label, why in zip(stored, refused, strict=True) if why is not None]
    if not left:
        return None
    unlabelled = [name for name in target.classes if name not in set(classes)]
    gone = _listed([_counted(label, counts) for label in left])
    none = _listed([f"'{name}'" for name in unlabelled])
    return (
        f"labels that target.classes does not have, and no retrain learns from: {gone}"
        + (f"; classes that no label has: {none}" if unlabelled else "")
        + f"; correct target.classes or, where that is meant, see `ratchet relabel {use_case.name} --help`"
    )


def _names_of_none(use_case: UseCase, counts: Mapping[str, int]) -> str | None:
    """What the configuration says of a class by name that is none of those which are learned."""
    target = use_case.target
    named = {"target.positive": [] if target.positive is None else [target.positive]}
    named["target.thresholds"] = list(target.thresholds)
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    wrong = [
        f"{key} is for '{name}'{meant(name, labels)}"
        for key, names in named.items()
        for name in names
        if spelled_like(name, labels) not in counts
    ]
    if not wrong:
        return None
    stored = _listed([_counted(label, counts) for label in labels])
    return f"{'; '.join(wrong)}, which no label is; stored are {stored}"


def _count_each(counts: Mapping[str, int], separator: str | None) -> Mapping[str, int]:
    """Label to its rows; of labels that stand together in one text, of each."""
    if separator is None:
        return counts
    each: Counter[str] = Counter()
    for text, rows in counts.items():
        for label in text.split(separator) if text else ():
            each[label] += rows
    return each


def _counted(label: str, counts: Mapping[str, int]) -> str:
    rows = counts[label]
    return f"'{label}' ({rows:,} label{'' if rows == 1 else 's'})"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
