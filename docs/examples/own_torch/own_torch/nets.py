"""Two dense layers in PyTorch, which write themselves as ONNX: servers need no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from models.errors import TrainingStopped  # Ratchet's
from models.estimators.contract import Params, read_params

FILE = "weights.npz"


class TableNetParams(Params):
    """Parameters of `own_torch`; those not named here are refused, with the nearest name."""

    hidden: int = 32
    """Units of the hidden layer."""
    epochs: int = 20
    """Times that all rows are gone through."""
    update_epochs: int = 3
    """The same of a warm start."""
    learning_rate: float = 0.01
    """Length of a step."""
    batch_size: int = 64
    """Rows between two steps."""


class TableNet:
    """A network for encoded tables, rows of numbers (n, features)."""

    kinds: ClassVar[tuple[str, ...]] = ("tabular", "mixed")

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params("own_torch", TableNetParams, params)
        self.net: Any = None

    def fit(self, x: Any, y: Any, *, n_classes: int, seed: int, watch: Any) -> None:
        """Learn from nothing."""
        self.net = self._make(x.shape[1], n_classes, torch.Generator().manual_seed(seed))
        self._train(x, y, seed, watch, self.params.epochs)

    def update(self, x: Any, y: Any, *, seed: int, watch: Any) -> None:
        """Learn further rows: with this method, challengers may have `fit: warm`."""
        self._train(x, y, seed, watch, self.params.update_epochs)

    def predict_proba(self, x: Any) -> Any:
        """Probabilities, shape (n, n_classes)."""
        with torch.no_grad():
            # A row at a time would answer the same: nothing in the network looks at its neighbours.
            return torch.softmax(self.net(torch.tensor(x)), dim=1).numpy()

    def save(self, directory: Path) -> None:
        """Write plain arrays: torch.save would write a pickle, which servers do not load."""
        arrays = {name: value.numpy() for name, value in self.net.state_dict().items()}
        np.savez(directory / FILE, **arrays)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The network that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / FILE, allow_pickle=False) as file:
            state = {name: torch.tensor(file[name]) for name in file.files}
        classes, features = len(state["2.bias"]), state["0.weight"].shape[1]
        loaded.net = loaded._make(features, classes, torch.Generator())
        loaded.net.load_state_dict(state)
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write a graph with one input (n, features) and one output (n, n_classes)."""
        with_softmax = torch.nn.Sequential(self.net, torch.nn.Softmax(dim=1)).eval()
        example = torch.zeros(2, self.net[0].in_features)
        rows = torch.export.Dim("rows")
        torch.onnx.export(
            with_softmax,
            (example,),
            str(path),
            dynamic_shapes=({0: rows},),
            external_data=False,
            verbose=False,
        )

    def _make(self, features: int, classes: int, random: torch.Generator) -> Any:
        net = torch.nn.Sequential(
            torch.nn.Linear(features, self.params.hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(self.params.hidden, classes),
        )
        for layer in (net[0], net[2]):
            bound = layer.in_features**-0.5
            for weights in (layer.weight, layer.bias):
                torch.nn.init.uniform_(weights, -bound, bound, generator=random)
        return net

    def _train(self, x: Any, y: Any, seed: int, watch: Any, epochs: int) -> None:
        rows, targets = torch.tensor(x), torch.tensor(y)
        random = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.params.learning_rate)
        for epoch in range(1, epochs + 1):
            for batch in torch.randperm(len(rows), generator=random).split(self.params.batch_size):
                if watch.should_stop():
                    raise TrainingStopped
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(self.net(rows[batch]), targets[batch])
                loss.backward()
                optimizer.step()
            watch.epoch(epoch, epochs, {"loss": float(loss.detach())})
