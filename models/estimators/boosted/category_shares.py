"""What the values of a category say of the classes: the share of each class among the rows that have it.

A category of hundreds of values (a school, a shop) is nothing that trees can split by one value at a time.
In its place stand shares of classes (Micci-Barreca, "A preprocessing scheme for high-cardinality categorical
attributes", 2001), drawn towards those of all rows where a value has few. Training rows get theirs from other
rows than themselves, in folds: else a value with one row would give its label away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Features, Targets

FOLDS = 10
PRIOR_ROWS = 5.0
"""Rows with the shares of all, which each value is given besides its own."""
MOST_CLASSES = 16
"""Classes whose shares are told, the most frequent ones; of two classes, one share says both."""


class CategoryShares:
    """Tables of shares by the place of a value, for columns that hold places; the others stay as they are.

    The last row of each table is for values that are missing or were never seen.
    """

    def __init__(self, tables: Mapping[int, NDArray[np.float32]]) -> None:
        self.tables = dict(tables)
        """Column to shares, shape (values + 1, told classes)."""

    @classmethod
    def learn(cls, x: Features, y: Targets, columns: Mapping[int, int], seed: int) -> tuple[Self, Features]:
        """The tables of all rows, and these rows with shares that other rows gave.

        Args:
            x: rows (n, features), places in these columns and nan where there is none.
            y: class of each row.
            columns: column to the number of its values.
            seed: by which folds are drawn.
        """
        told = _told_classes(y)
        hot = (y[:, np.newaxis] == told).astype(np.float64)
        fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
        tables, unseen = {}, {}
        for column, count in columns.items():
            places = _places(x[:, column], count)
            tables[column] = _shares(places, hot, count)
            unseen[column] = np.empty(hot.shape, np.float32)
            for one in range(FOLDS):
                others = fold != one
                unseen[column][~others] = _shares(places[others], hot[others], count)[places[~others]]
        return cls(tables), _joined(x, unseen)

    def apply(self, x: Features) -> Features:
        """Rows with the shares in place of the places: other columns first."""
        if not self.tables:
            return x
        return _joined(
            x, {column: table[_places(x[:, column], len(table) - 1)] for column, table in self.tables.items()}
        )

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """For a file: name to table."""
        return {f"column_{column}": table for column, table in self.tables.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `to_arrays`."""
        return cls({int(name.removeprefix("column_")): arrays[name] for name in arrays})

    def add_to_graph(self, graph: Any, width: int) -> None:
        """Let an ONNX graph of the trees take rows of this width, as `apply` does."""
        if not self.tables:
            return
        from onnx import TensorProto, helper

        told = graph.graph.input[0].name
        kept = [column for column in range(width) if column not in self.tables]
        constants: dict[str, NDArray[Any]] = {"kept": np.array(kept, np.int64)}
        nodes = [helper.make_node("Gather", ["rows", "kept"], ["others"], axis=1)]
        parts = ["others"]
        for column, table in self.tables.items():
            more, result = _gather(column)
            constants |= {
                f"column_{column}": np.array(column, np.int64),
                f"none_{column}": np.array(len(table) - 1, np.float32),
                f"shares_{column}": table,
            }
            nodes += more
            parts.append(result)
        nodes.append(helper.make_node("Concat", parts, [told], axis=1))
        _put_before(graph, nodes, constants)
        given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", width])
        del graph.graph.input[:]
        graph.graph.input.append(given)


def _gather(column: int) -> tuple[list[Any], str]:
    """Nodes that look up the shares of one column, and their result."""
    from onnx import TensorProto, helper

    names = {part: f"{part}_{column}" for part in ("places", "absent", "filled", "index", "told")}
    return [
        helper.make_node("Gather", ["rows", f"column_{column}"], [names["places"]], axis=1),
        helper.make_node("IsNaN", [names["places"]], [names["absent"]]),
        helper.make_node("Where", [names["absent"], f"none_{column}", names["places"]], [names["filled"]]),
        helper.make_node("Cast", [names["filled"]], [names["index"]], to=TensorProto.INT64),
        helper.make_node("Gather", [f"shares_{column}", names["index"]], [names["told"]], axis=0),
    ], names["told"]


def _put_before(graph: Any, nodes: list[Any], constants: Mapping[str, NDArray[Any]]) -> None:
    from onnx import helper, numpy_helper

    later = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *later])
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    if all(one.domain not in ("", "ai.onnx") for one in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid("", 15))
        graph.ir_version = 8


def _told_classes(y: Targets) -> NDArray[np.int64]:
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) == 2:
        return classes[1:]
    frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return np.sort(classes[frequent])


def _places(column: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The place of each value; `count` where there is none."""
    places: NDArray[np.int64] = np.where(np.isnan(column), count, column).astype(np.int64)
    return places


def _shares(places: NDArray[np.int64], hot: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Shares by place, (count + 1, told classes): of rows that have none as well."""
    sums = np.stack([np.bincount(places, weights=one, minlength=count + 1) for one in hot.T], axis=1)
    rows = np.bincount(places, minlength=count + 1)[:, np.newaxis]
    shares = (sums + PRIOR_ROWS * hot.mean(axis=0)) / (rows + PRIOR_ROWS)
    told: NDArray[np.float32] = shares.astype(np.float32)
    return told


def _joined(x: Features, shares: Mapping[int, NDArray[np.float32]]) -> Features:
    kept = [column for column in range(x.shape[1]) if column not in shares]
    joined: Features = np.concatenate([x[:, kept], *shares.values()], axis=1)
    return joined
