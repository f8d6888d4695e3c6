"""CatBoost's trees as arrays, answered by numpy: servers need no CatBoost.

Each level of such a tree asks one question of all rows (Prokhorenkova et al., "CatBoost: unbiased boosting
with categorical features", 2018), so the answers to a tree's questions are the number of a leaf.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 1_000_000
"""Most numbers looked up at a time, to bound memory."""


@dataclass(frozen=True)
class ObliviousTrees:
    """Questions and leaves of all trees, each padded to the depth of the deepest."""

    features: NDArray[np.int32]
    """Which number a question is about, (trees, depth)."""
    borders: NDArray[np.float32]
    """Beyond which it is answered with yes, (trees, depth); infinite where a tree has no such question."""
    leaves: NDArray[np.float64]
    """What a leaf adds to the score of each output, (trees, leaves, outputs)."""
    bias: NDArray[np.float64]
    """Of each output, (outputs,)."""

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of n rows, shape (n, outputs); each depends on its own row only."""
        trees, depth = self.features.shape
        scores = np.empty((len(x), len(self.bias)))
        at_once = max(1, CELLS // (trees * max(depth, len(self.bias))))
        powers = 1 << np.arange(depth)
        for start in range(0, len(x), at_once):
            part = x[start : start + at_once]
            leaf = (part[:, self.features] > self.borders) @ powers
            scores[start : start + at_once] = self.leaves[np.arange(trees), leaf].sum(axis=1) + self.bias
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays, for a file."""
        return {
            "tree_features": self.features,
            "tree_borders": self.borders,
            "tree_leaves": self.leaves,
            "tree_bias": self.bias,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ObliviousTrees:
        """The inverse of `to_arrays`."""
        return cls(*(arrays[f"tree_{name}"] for name in ("features", "borders", "leaves", "bias")))


def read_trees(model: Any) -> ObliviousTrees:
    """The trees of a CatBoost model of numbers only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trees.json"
        model.save_model(str(path), format="json")
        described = json.loads(path.read_text(encoding="utf-8"))
    trees = described["oblivious_trees"]
    scale, bias = described["scale_and_bias"]
    depth = max(len(tree["splits"] or ()) for tree in trees)
    features = np.zeros((len(trees), depth), dtype=np.int32)
    borders = np.full((len(trees), depth), np.inf, dtype=np.float32)
    leaves = np.zeros((len(trees), 2**depth, len(bias)))
    for place, tree in enumerate(trees):
        splits = tree["splits"] or ()
        features[place, : len(splits)] = [split["float_feature_index"] for split in splits]
        borders[place, : len(splits)] = [split["border"] for split in splits]
        values = np.array(tree["leaf_values"]).reshape(-1, len(bias)) * scale
        leaves[place, : len(values)] = values
    return ObliviousTrees(features, borders, leaves, np.array(bias, dtype=np.float64))
