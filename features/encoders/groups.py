"""Rows in groups of those that are alike, found among two sets of rows together.

What a drift check compares must not know which set a row is of, or it would tell them apart by that: groups
are found in all rows of both as one, so where nothing has moved either set is in each group by chance alone.
They are found by k-means in the directions in which the rows vary most (principal components).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 16
DIRECTIONS = 20
MOST_FITTED = 6000
"""Rows by which groups are found, drawn of both sets; the others join the nearest."""
LEAST_ROWS = 10 * GROUPS
"""Of fewer no groups are found."""
CHUNK = 4096
"""Rows projected at a time, to bound memory."""
TURNS = 30
SEED = 7


def group_alike(rows: NDArray[Any]) -> NDArray[np.intp] | None:
    """The group of each of n rows, from 0 for the largest; None where rows are too few, or too few differ.

    The same rows give the same groups, in whatever order they come, so whichever are of either set.

    Args:
        rows: numbers (n, any) of both sets, one after the other.
    """
    count, width = rows.shape
    random = np.random.default_rng(SEED)
    fitted = random.permutation(count)[:MOST_FITTED]
    if count < LEAST_ROWS or width < 2:
        return None
    # Centres start from some of the rows: by their content in order, not by their set.
    direction = random.normal(size=width)
    order = np.argsort(np.concatenate([chunk @ direction for chunk in _chunks(rows)]), kind="stable")
    ordered = rows[order]
    if len(np.unique(ordered[fitted], axis=0)) < LEAST_ROWS:
        return None
    found = np.empty(count, dtype=np.intp)
    found[order] = _cluster(_project(ordered, fitted), fitted)
    return found


def with_groups(
    before: pd.DataFrame, now: pd.DataFrame, column: str, names: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables with the group of each of their rows, one after the other, by its name."""
    import pandas as pd

    parts = (before, names[: len(before)]), (now, names[len(before) :])
    one, other = (
        table.assign(**{column: pd.Series(list(part), index=table.index, dtype=object)})
        for table, part in parts
    )
    return one, other


def _project(rows: NDArray[Any], fitted: NDArray[np.intp]) -> NDArray[np.float64]:
    from sklearn.decomposition import PCA

    directions = min(DIRECTIONS, rows.shape[1] - 1)
    model = PCA(directions, svd_solver="randomized", random_state=SEED)
    model.fit(rows[fitted].astype(np.float64))
    return np.concatenate([model.transform(chunk) for chunk in _chunks(rows)])


def _chunks(rows: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    return (rows[start : start + CHUNK].astype(np.float64) for start in range(0, len(rows), CHUNK))


def _cluster(places: NDArray[np.float64], fitted: NDArray[np.intp]) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans

    model = KMeans(GROUPS, n_init=1, max_iter=TURNS, random_state=SEED).fit(places[fitted])
    found = model.predict(places)
    sizes = np.bincount(found, minlength=GROUPS)
    rank = np.empty(GROUPS, dtype=np.intp)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(GROUPS)
    return np.asarray(rank[found], dtype=np.intp)
