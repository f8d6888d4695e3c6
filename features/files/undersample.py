"""Leaving out rows of the most frequent labels, so that rare ones weigh more.

With many labels a row, a row can only be left out when none of its labels is rare: the idea of ML-RUS
(Charte et al., "Addressing imbalance in multilabel classification: Measures and random resampling
algorithms", 2015), here with a count instead of a ratio: no label falls below the threshold by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.schema import TargetConfig, UseCase
from configs.security.umask import user_umask
from features.errors import SourceError
from features.files.layout import layout_of
from features.files.outputs import check_extension, common_schema, schema_of, write_tables
from features.files.sources import open_source
from features.records.arrow.file_columns import read_values
from features.records.labels import LabelContract, split_labels

OnProgress = Callable[[float, int], None]


@dataclass(frozen=True)
class UndersampleReport:
    """What became of the rows."""

    source: str
    target: str
    threshold: int
    rows: int
    kept: int
    refused: int
    """Rows without a valid label, which are left out as well."""
    before: dict[str, int]
    """Label to rows that have it, the most frequent first."""
    after: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def choose_rows(
    labels: Sequence[Sequence[str]], threshold: int | None, *, seed: int = 7
) -> tuple[NDArray[np.bool_], int]:
    """Which rows are kept, and the threshold.

    Rows are looked at in random order, and one is left out when each of its labels has more than
    `threshold` rows left. So a label with fewer rows than that keeps all of them.

    Args:
        labels: the labels of each row.
        threshold: rows that a frequent label is to keep; None: the median of the labels' counts.
        seed: the same seed, rows and threshold keep the same rows.

    >>> kept, threshold = choose_rows([["a"]] * 8 + [["a", "b"]] * 2, 3)
    >>> int(kept.sum()), kept[8:].tolist()
    (3, [True, True])
    """
    left = Counter(label for row in labels for label in set(row))
    if threshold is None:
        threshold = max(1, int(np.median(list(left.values())))) if left else 1
    kept = np.ones(len(labels), dtype=np.bool_)
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        own = set(labels[row])
        if own and all(left[label] > threshold for label in own):
            kept[row] = False
            left.subtract(own)
    return kept, threshold


def undersample_file(
    use_case: UseCase,
    source: Path,
    target: Path,
    threshold: int | None = None,
    *,
    progress: OnProgress = lambda _share, _rows: None,
) -> UndersampleReport:
    """Write the rows that are kept to another file, with all their columns and in the same order.

    Formats follow from the names, as for `features.files.outputs`. The file appears whole or not at all.
    `progress` is told the share that is done, and the number of rows read so far.

    Raises:
        SourceError: a file cannot be read, or the target is of no known format or is the source.
    """
    check_extension(target)
    if target.resolve() == source.resolve():
        raise SourceError(f"{target}: is the file that is read; allowed: another file")
    labels, schema = _read_labels(use_case, source, progress)
    valid = np.array([row is not None for row in labels], dtype=np.bool_)
    sets = [row or [] for row in labels]
    kept, threshold = choose_rows(sets, threshold, seed=use_case.training.seed)
    kept &= valid
    with user_umask():
        target.parent.mkdir(parents=True, exist_ok=True)
    write_tables(_kept_tables(use_case, source, kept, progress), schema, target, formulas="keep")
    return UndersampleReport(
        source.name,
        target.name,
        threshold,
        len(labels),
        int(kept.sum()),
        int((~valid).sum()),
        _count(sets),
        _count([row for row, keep in zip(sets, kept.tolist(), strict=True) if keep]),
    )


def _read_labels(
    use_case: UseCase, path: Path, progress: OnProgress
) -> tuple[list[list[str] | None], pa.Schema]:
    """The labels of each row, None where they are not valid, and the columns of the file."""
    target, contract = use_case.target, LabelContract(use_case.target, use_case.record.missing)
    rows: list[list[str] | None] = []
    schemas: list[pa.Schema] = []
    source = open_source(path, layout_of(use_case, whole=True))
    with closing(source):
        if source.columns is not None and target.column not in source.columns:
            raise SourceError(f"{path}: column '{target.column}' with the labels is missing")
        for batch in source.batches:
            checked, _ = contract.check(read_values(batch.table, target.column, batch.mixed))
            rows += [None if label is None else _own_labels(label, target) for label in checked]
            schemas.append(schema_of(batch.table))
            progress(batch.fraction / 2, len(rows))
    return rows, common_schema(schemas) if schemas else _text_columns(source.columns or ())


def _text_columns(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def _own_labels(label: str, target: TargetConfig) -> list[str]:
    return split_labels(label, target.separator) if target.task == "multilabel" else [label]


def _kept_tables(
    use_case: UseCase, path: Path, kept: NDArray[np.bool_], progress: OnProgress
) -> Iterator[pa.Table]:
    start = 0
    source = open_source(path, layout_of(use_case, whole=True))
    with closing(source):
        for batch in source.batches:
            rows = batch.table.num_rows
            yield batch.table.filter(pa.array(kept[start : start + rows]))
            start += rows
            progress(0.5 + batch.fraction / 2, start)


def _count(sets: Sequence[Sequence[str]]) -> dict[str, int]:
    counts = Counter(label for row in sets for label in row)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
