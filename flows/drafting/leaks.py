"""Columns that give the label away: what is known of a record only once its label is.

A model that learns from such a column looks perfect on held-out rows and is worthless where it serves, and
nothing later tells. A column that is strong by right tells much of what others tell too, and is wrong at
times. So a column is left out where it tells the label all but always and the others together are far from
that, or where it says the same as the label in other words. One that tells much more than all others, but
errs, is kept, and named. Either way it is said aloud, and `--keep` and `--leave-out` decide otherwise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flows.drafting.names import tells_target

SURE = 0.98
"""Share of the errors of always saying the most frequent class that a column alone takes away: nearly all."""
FAR = 0.9
"""Share that all others together may take away, for that column to be left out."""
STRONG, AHEAD = 0.8, 0.3
"""Share from which a column is named, where it is so much above that of all others."""
NAMED = 0.6
"""Share that is enough where the name is that of the target."""
LEAST_ROWS = 20
"""Labelled rows, and rows of a class, that show anything."""
ONE_CLASS = 0.6
"""Share of a class up to which it is no chance that a value is there in its rows only."""
MOST_ROWS = 3000
MOST_WIDE = 1000
"""Rows that are looked at; of a table with very many columns."""
WIDE = 500
FOLDS = 3
LEAST_MEMBERS, MOST_GROUPS = 3, 100
"""Columns of a group; groups that are looked at."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Suspect:
    """A column that may give the label away."""

    column: str
    verdict: Literal["leave_out", "warn"]
    why: str


@dataclass(frozen=True)
class Matrix:
    """Columns as numbers, one a row: categories by code, times by seconds, NaN where there is no value."""

    values: Mapping[str, Floats]
    categories: frozenset[str]
    texts: frozenset[str]
    """Columns of which only whether they are there is known here."""


def suspects(matrix: Matrix, labels: Sequence[str], target: str, seed: int = 7) -> list[Suspect]:
    """The columns that seem to give the label away, each with its evidence.

    Args:
        matrix: of n labelled rows.
        labels: of the same rows, each one class.
    """
    rows = _rows(labels, len(matrix.values), seed)
    if len(rows) < LEAST_ROWS:
        return []
    looked_at = (
        f"{len(rows):,} rows" if len(rows) == len(labels) else f"{len(rows):,} of {len(labels):,} rows"
    )
    names, truth = np.unique(np.array(labels, dtype=object)[rows].astype(str), return_inverse=True)
    columns = {name: values[rows] for name, values in matrix.values.items()}
    found = _same(columns, labels, rows, matrix, looked_at)
    found |= {
        name: one for name, one in _only_in(columns, names, truth, looked_at).items() if name not in found
    }
    folds = _folds(truth, seed)
    left = {name: one for name, one in columns.items() if name not in found and name not in matrix.texts}
    single: dict[tuple[str, ...], Floats] = {(name,): values for name, values in left.items()}
    candidates = {**single, **exclusive_groups(left)}
    scores = {names_of: alone(values, truth, folds) for names_of, values in candidates.items()}
    strong = {one: score for one, score in scores.items() if score >= _least(one, target)}
    if strong:
        telling = {name for one in strong for name in one}
        rest = together([one for name, one in left.items() if name not in telling], truth, folds)
        for names_of, score in sorted(strong.items(), key=lambda pair: (-pair[1], len(pair[0]))):
            suspect = _judge(names_of, score, rest, target, looked_at)
            if suspect is not None and suspect.verdict == "warn":
                # Of two that tell the same by right neither is far ahead of the other.
                all_others = [one for name, one in left.items() if name not in names_of]
                suspect = _judge(names_of, score, together(all_others, truth, folds), target, looked_at)
            if suspect is not None:
                for name in names_of:
                    found.setdefault(name, replace(suspect, column=name))
    return list(found.values())


def _least(names_of: tuple[str, ...], target: str) -> float:
    """The score from which a column, or a group of them, is looked at further."""
    return NAMED if len(names_of) == 1 and tells_target(names_of[0], target) else STRONG


def exclusive_groups(columns: Mapping[str, Floats]) -> dict[tuple[str, ...], Floats]:
    """Columns of 0 and 1, at most one of which is 1 in a row, with which one that is: one category.

    A column joins the first group that it fits, in the order of the file; groups of two are left, as chance
    makes them.
    """
    groups: list[tuple[list[str], Floats]] = []
    for name, values in columns.items():
        ones = values == 1
        if not ones.any() or not (ones | (values == 0)).all():
            continue
        group = next((one for one in groups if not (ones & (one[1] > 0)).any()), None)
        if group is None:
            if len(groups) >= MOST_GROUPS:
                continue
            group = ([], np.zeros(len(values)))
            groups.append(group)
        group[0].append(name)
        group[1][ones] = len(group[0])
    return {tuple(names): codes for names, codes in groups if len(names) >= LEAST_MEMBERS}


def _judge(
    names_of: tuple[str, ...], score: float, rest: float, target: str, looked_at: str
) -> Suspect | None:
    name = names_of[0]
    of_several = (
        f"one of {len(names_of)} columns of 0 and 1, at most one of which is 1 in a row ('{name}' to "
        f"'{names_of[-1]}'): as the one category that they are, "
    )
    told = (of_several if len(names_of) > 1 else "alone ") + (
        f"it takes away {score:.0%} of the errors that always saying the most frequent class makes, "
        f"the other columns together {max(rest, 0):.0%} (cross-validated on {looked_at})"
    )
    if len(names_of) == 1 and tells_target(name, target) and score - rest >= AHEAD / 2:
        return Suspect(name, "leave_out", f"its name is that of the target, and {told}")
    if score >= SURE and rest <= FAR:
        return Suspect(name, "leave_out", told)
    if score >= STRONG and score - rest >= AHEAD:
        return Suspect(name, "warn", told)
    return None


def _rows(labels: Sequence[str], columns: int, seed: int) -> Ints:
    """Some of the rows whose class has enough to be in every fold."""
    counts = Counter(labels)
    rows = np.array([row for row, label in enumerate(labels) if counts[label] >= FOLDS], dtype=np.int64)
    most = MOST_WIDE if columns > WIDE else MOST_ROWS
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    kept = Counter(labels[row] for row in rows.tolist())
    rows = np.array([row for row in rows.tolist() if kept[labels[row]] >= FOLDS], dtype=np.int64)
    return rows if len({labels[row] for row in rows.tolist()}) > 1 else rows[:0]


def _same(
    columns: Mapping[str, Floats], labels: Sequence[str], rows: Ints, matrix: Matrix, looked_at: str
) -> dict[str, Suspect]:
    """Columns of which each value goes with one class, and each class with one value."""
    own = [labels[row] for row in rows.tolist()]
    classes = len(set(own))
    found = {}
    for name, values in columns.items():
        if name in matrix.texts:
            continue
        texts = [repr(value) for value in values.tolist()]
        if len(set(texts)) == classes == len(set(zip(texts, own, strict=True))):
            why = (
                f"says the same as the target: each of its {classes} values goes with one class, "
                f"in {looked_at}"
            )
            found[name] = Suspect(name, "leave_out", why)
    return found


def _only_in(
    columns: Mapping[str, Floats], names: NDArray[np.str_], truth: Ints, looked_at: str
) -> dict[str, Suspect]:
    """Columns that have a value in rows of one class only, and in most of these; or lack one so."""
    found = {}
    for name, values in columns.items():
        absent = np.isnan(values)
        for rows, what in ((~absent, "has a value"), (absent, "is missing")):
            count = int(rows.sum())
            if not LEAST_ROWS <= count < len(rows):
                continue
            classes = np.unique(truth[rows])
            members = truth == classes[0]
            if len(classes) == 1 and members.mean() <= ONE_CLASS and count >= 0.5 * members.sum():
                why = (
                    f"{what} in {count:,} of {int(members.sum()):,} rows of class '{names[classes[0]]}', "
                    f"and in none of the {int((~members).sum()):,} others ({looked_at} looked at): "
                    "it seems to be filled in once the label is known"
                )
                found[name] = Suspect(name, "leave_out", why)
                break
    return found


def _folds(truth: Ints, seed: int) -> Ints:
    """A fold for each row, each class being in all of them."""
    random = np.random.default_rng(seed)
    folds = np.empty(len(truth), dtype=np.int64)
    for label in np.unique(truth):
        rows = random.permutation(np.flatnonzero(truth == label))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def alone(values: Floats, truth: Ints, folds: Ints) -> float:
    """Share of the errors of the most frequent class that a tree of one column takes away, on unseen rows."""
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(64, 2 * len(np.unique(truth)))
    filled = _ranks(values).reshape(-1, 1)
    wrong = 0
    for fold in range(FOLDS):
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
        tree.fit(filled[folds != fold], truth[folds != fold])
        wrong += int((tree.predict(filled[folds == fold]) != truth[folds == fold]).sum())
    return _share(wrong, truth)


def together(columns: Sequence[Floats], truth: Ints, folds: Ints) -> float:
    """The same of a forest of several columns; 0 without any."""
    from sklearn.ensemble import RandomForestClassifier

    if not columns:
        return 0.0
    table = np.stack([_ranks(one) for one in columns], axis=1)
    wrong = 0
    for fold in range(FOLDS):
        forest = RandomForestClassifier(100, random_state=0, n_jobs=1)
        forest.fit(table[folds != fold], truth[folds != fold])
        wrong += int((forest.predict(table[folds == fold]) != truth[folds == fold]).sum())
    return _share(wrong, truth)


def _share(wrong: int, truth: Ints) -> float:
    errors = len(truth) - int(np.bincount(truth).max())
    return 1 - wrong / errors


def _ranks(values: Floats) -> NDArray[np.float32]:
    """The place of each value among the different ones, none being the last: trees know no more of them."""
    return np.unique(values, return_inverse=True)[1].astype(np.float32)


def codes(texts: Sequence[str | None]) -> Floats:
    """A number for each text, the more frequent the lower; NaN for none."""
    counts = Counter(text for text in texts if text is not None)
    places: dict[str, int] = defaultdict(int)
    places |= {text: place for place, (text, _) in enumerate(counts.most_common())}
    return np.array([np.nan if text is None else places[text] for text in texts], dtype=np.float64)
