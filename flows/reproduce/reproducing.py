"""Make a registered version again, and say whether it comes to the same, or why it cannot be made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from configs.settings import Settings
from features.pretrained.keeping import vectors_kept
from flows.context import LoopContext, open_context
from flows.reproduce.comparison import Comparison, compare
from flows.reproduce.differences import Difference, find_differences
from flows.reproduce.interrupts import heeding_signals
from flows.reproduce.origin import Origin, find_origin
from flows.reproduce.refit import FitProgress, OnProgress, gather, refit
from models.errors import ModelError, RegistryUnavailable
from models.provenance.surroundings import at_most_cores
from models.versions.artifact import read_probe
from models.versions.predictor import Predictor
from store.errors import SnapshotError

TOLERANCE = 1e-6
"""Of probabilities and metrics. On one machine with the same packages there is no difference at all; this is
what the last digits of 32 bits come to where sums are added up in another order. Fits that go through many
steps in another order differ by more."""


@dataclass(frozen=True)
class Reproduction:
    """What came of making a version again."""

    use_case: str
    version: int
    outcome: Literal["same", "differs", "impossible"]
    reason: str
    tolerance: float
    made_of: Mapping[str, Any]
    """What the record says that the version was made of."""
    comparison: Comparison | None = None
    """None: it could not be made, or does not know the same classes."""
    differences: tuple[Difference, ...] = ()
    """What is otherwise here than where it was made."""
    unrecorded: tuple[str, ...] = ()
    """What was not written down or is gone, and what was taken for it."""
    seconds: float = 0.0
    """That the fit took."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        comparison = None if self.comparison is None else self.comparison.as_dict()
        return {**asdict(self), "comparison": comparison}


def reproduce(
    settings: Settings,
    use_case: str,
    version: int,
    *,
    tolerance: float = TOLERANCE,
    on_progress: OnProgress = lambda _said: None,
) -> Reproduction:
    """Fit a version again from its record and compare; nothing is registered, and the database only read.

    A folder below `work/` of the home holds what is made, and is gone afterwards.

    Raises:
        UnknownVersion: there is none of that number.
        ArtifactDamaged: it is not what was registered.
        RegistryUnavailable: MLflow does not answer.
    """
    context = open_context(use_case, settings)
    with heeding_signals() as stop, context.workdir() as folder:
        on_progress({"step": "data"})
        with context.connect() as conn:
            conn.read_only = True
            origin = find_origin(context, conn, version, folder)
        begun = Reproduction(
            use_case, version, "impossible", "", tolerance, _made_of(origin),
            differences=find_differences(origin), unrecorded=origin.unrecorded,
        )  # fmt: skip
        try:
            # Of its own: vectors that retrains have kept are among what is to be made again.
            with vectors_kept(folder):
                return _made_again(context, origin, begun, folder, FitProgress(on_progress, stop))
        except RegistryUnavailable:
            raise
        except (SnapshotError, ModelError) as error:
            if stop.is_set():
                raise KeyboardInterrupt from error
            return replace(begun, reason=str(error))


def _made_again(
    context: LoopContext, origin: Origin, begun: Reproduction, folder: Path, watch: FitProgress
) -> Reproduction:
    with context.connect() as conn:
        conn.read_only = True
        materials = gather(context, conn, origin, folder)
    registered = Predictor.load(origin.artifact)
    started = time.monotonic()
    with at_most_cores(origin.inputs.surroundings.cores):
        remade = refit(origin, materials, folder, watch)
    seconds = round(time.monotonic() - started, 3)
    comparison = compare(registered, remade, read_probe(origin.artifact).records, materials.holdout)
    judged = _judged(begun, registered, remade, comparison)
    return replace(judged, seconds=seconds, unrecorded=(*begun.unrecorded, *materials.supposed))


def _judged(
    begun: Reproduction, registered: Predictor, remade: Predictor, comparison: Comparison | None
) -> Reproduction:
    rows = [one.manifest.rows for one in (registered, remade)]
    if comparison is None:
        reason = f"the classes are others: {', '.join(remade.classes)}"
    elif rows[0] != rows[1]:
        reason = f"it learned from {rows[0]} rows, made again from {rows[1]}"
    elif comparison.largest <= begun.tolerance:
        reason = _sentence("the same answers and metrics", comparison, begun.tolerance)
        return replace(begun, outcome="same", reason=reason, comparison=comparison)
    else:
        reason = _sentence("other answers or metrics", comparison, begun.tolerance)
    return replace(begun, outcome="differs", reason=reason, comparison=comparison)


def _sentence(what: str, comparison: Comparison, tolerance: float) -> str:
    return f"{what}: the largest difference is {comparison.largest:.3g}, tolerated are {tolerance:g}"


def _made_of(origin: Origin) -> dict[str, Any]:
    """What is shown of the record."""
    manifest, inputs = origin.manifest, origin.inputs
    return {
        "snapshot": manifest.lineage.snapshot_digest,
        "challenger": manifest.challenger,
        "fit": manifest.fit,
        "estimator": manifest.estimator,
        "params": dict(manifest.params),
        "seed": manifest.seed,
        "rows": manifest.rows,
        "sample_count": inputs.sample_count,
        "continued_from": manifest.lineage.parent_version if manifest.fit == "warm" else None,
        "members": {one.name: one.weight for one in manifest.members},
        "run": manifest.lineage.run_id,
        "code_revision": manifest.lineage.code_revision,
    }
