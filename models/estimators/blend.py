"""A blend: members by one estimator, each learned from rows of its own, that answer by their weighted mean.

A mean of probabilities is a linear opinion pool (Stone, "The opinion pool", 1961); members of other
windows of the newest rows let it follow what changes without losing what stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import CannotUpdate
from models.estimators.arrays import Features, Targets
from models.estimators.blend_graph import join_graphs
from models.estimators.catalogue import estimator_class
from models.estimators.contract import Exportable, Fitted, Updatable, can_update
from models.estimators.fit_watch import StopOnlyWatch, Watch

LEAST_WEIGHT = 0.02
"""A member of less weight is not asked."""


class MemberFacts(Protocol):
    """What is written down of a member."""

    @property
    def name(self) -> str:
        """Name in the configuration, and of its folder."""
        ...

    @property
    def weight(self) -> float:
        """Share of its answer in the whole."""
        ...

    @property
    def rows(self) -> int:
        """Rows that it has learned from, those of updates too."""
        ...

    @property
    def window(self) -> int | None:
        """Of the newest this many retrains its rows were; None: all."""
        ...


@dataclass(frozen=True)
class Member:
    """One model of a blend."""

    name: str
    weight: float
    """Share of its answer in the whole; with 0 it is kept, and not asked."""
    rows: int
    """Rows that it has learned from, those of updates too."""
    estimator: Fitted
    window: int | None = None
    """Of the newest this many retrains its rows were; None: all."""


class Blend:
    """Members of one estimator, the first of which learned from all rows."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self._unchanged: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the estimator that all members are of."""
        return self.members[0].estimator.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the members, each with its name, and which of them an update left as they were."""
        told = [f"{member.name}: {note}" for member in self.members for note in member.estimator.notes]
        return (*told, *self._unchanged)

    @property
    def answering(self) -> tuple[Member, ...]:
        """The members that are asked; one at least."""
        return tuple(member for member in self.members if member.weight > 0)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        answers = [np.float32(member.weight) * member.estimator.predict_proba(x) for member in self.answering]
        # Weights rounded to 32 bits may come to a little more than 1.
        mean: NDArray[np.float32] = np.minimum(np.sum(answers, axis=0, dtype=np.float32), np.float32(1))
        return mean

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Let every member learn these rows as well; weights stay.

        A member of few rows may not be able to, as it lacks a class: it stays as it is, with a note.

        Raises:
            CannotUpdate: the estimator has no update, or the first member cannot.
            TrainingStopped: the watch asked for it; the blend is then of no use.
        """
        updated, unchanged = [], []
        for place, member in enumerate(self.members):
            if not can_update(member.estimator):
                raise CannotUpdate(f"estimator {self.name} has no update")
            assert isinstance(member.estimator, Updatable)
            try:
                member.estimator.update(x, y, seed=seed, watch=StopOnlyWatch(watch) if place else watch)
            except CannotUpdate as error:
                if place == 0:
                    raise
                unchanged.append(f"member {member.name} has not learned these rows: {error}")
                updated.append(member)
            else:
                updated.append(replace(member, rows=member.rows + len(x)))
        self.members, self._unchanged = tuple(updated), tuple(unchanged)

    def save(self, directory: Path) -> None:
        """Write each member to a folder of its name, those of weight 0 too: they may have weight later."""
        for member in self.members:
            folder = directory / member.name
            folder.mkdir()
            member.estimator.save(folder)


class ExportableBlend(Blend):
    """A blend of members that can be written as ONNX."""

    @property
    def export_tolerance(self) -> float | None:
        """How far the graph may be off, before the members answer themselves; None: that is not for them."""
        return getattr(self.members[0].estimator, "export_tolerance", None)

    def export_onnx(self, path: Path) -> None:
        """Write one graph of all members that are asked; where only one is, it is that member's own."""
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            graphs = []
            for member in self.answering:
                graph = Path(folder) / f"{member.name}.onnx"
                assert isinstance(member.estimator, Exportable)
                member.estimator.export_onnx(graph)
                graphs.append((member.name, member.weight, graph))
            join_graphs(graphs, path)


def make_blend(members: Sequence[Member]) -> Blend:
    """A blend with the powers of its members."""
    exportable = all(isinstance(member.estimator, Exportable) for member in members)
    return ExportableBlend(members) if exportable else Blend(members)


def load_blend(
    directory: Path, estimator: str, params: Mapping[str, Any], descriptions: Sequence[MemberFacts]
) -> Blend:
    """Those of the members in a directory, as `Blend.save` wrote it, which are described."""
    inner = estimator_class(estimator)
    return make_blend(
        [
            Member(one.name, one.weight, one.rows, inner.load(directory / one.name, params), one.window)
            for one in descriptions
        ]
    )


def share_out(names: Sequence[str], weights: Mapping[str, float] | None) -> tuple[float, ...]:
    """Weights of these members, none below `LEAST_WEIGHT` but 0; they sum to 1.

    Args:
        names: of the members that there are, the first of which has all where nothing else is known.
        weights: name to weight, at least 0, in any scale; of those not named it is 0.
    """
    shares = np.array([(weights or {}).get(name, 0.0) for name in names])
    shares[shares < LEAST_WEIGHT * shares.sum()] = 0
    if not shares.any():
        shares[0] = 1
    return tuple((shares / shares.sum()).tolist())
