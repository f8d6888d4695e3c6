"""What MLflow is told of a challenger, so that its compare page is useful.

All runs of a use case share one experiment and the same metric names: `train_*` by epoch (the
learning curve), the plain metrics on the judged rows, `production_*` for what production got on
the same rows, `plain_*` for what a plain model beside it got; `original_*` and
`original_production_*` for both on what the original version was judged on; `record_*` for what
challengers of earlier retrains gained over production, where that is known; `artifact_bytes` and,
where the gate limits it, `latency_ms` for what a version costs where it serves.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from numpy.typing import NDArray

from configs.schema import UseCase
from configs.security.printable import one_line
from models.gate.class_scores import Detail
from models.gate.decision import GateDecision
from models.gate.limits.calibration import Calibration
from models.gate.limits.costs import Costs
from models.production.registry import translated
from models.pyfunc import log_model
from models.shadows.evidence import RecordGain
from models.versions.artifact import Manifest
from store.snapshots.index import Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# MLflow refuses longer digests and parameter values.
MAX_DIGEST = 36
MAX_PARAM = 6000
MODEL_SCHEME = "models:/"
CONFUSION_PICTURE = "confusion_matrix.png"
MOST_DRAWN = 40
"""Classes; of more nothing could be read."""


@dataclass(frozen=True)
class Confusion:
    """What of the judged rows was taken for what, as a picture will show it."""

    counts: NDArray[np.int64]
    """Shape (classes, classes): the true class by row, the answer by column."""
    classes: Sequence[str]
    title: str


@dataclass(frozen=True)
class Logged:
    """Where MLflow keeps a challenger."""

    run_id: str
    model_uri: str
    confusion: Confusion | None = None
    """What is still to be drawn of it."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of a judged challenger."""

    artifact: Path
    manifest: Manifest
    curve: Sequence[tuple[int, Mapping[str, float]]]
    seconds: float
    decision: GateDecision
    scores: Mapping[str, float]
    production_scores: Mapping[str, float] | None
    original_scores: Mapping[str, float]
    """On the rows that the original version was judged on: its scores, and production's as `production_*`."""
    plain_scores: Mapping[str, float] | None
    """Those of the plain model beside it."""
    detail: Detail
    """Class by class, on the judged rows."""


def log_challenger(
    tracking_uri: str, use_case: UseCase, snapshot: Snapshot, evidence: Evidence, tags: Mapping[str, str]
) -> Logged:
    """Log a run with parameters, curve, scores, confusion matrix, data set and model.

    Pictures are left for later (`draw_pictures`): nothing that a version is judged or promoted by.

    Raises:
        RegistryUnavailable: MLflow went away, or cannot reach where it keeps artifacts.
    """
    manifest = evidence.manifest
    with translated(tracking_uri):
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_experiment(use_case.name)
        with mlflow.start_run(run_name=manifest.challenger, tags=dict(tags)) as run:
            client, run_id, at = MlflowClient(tracking_uri), run.info.run_id, run.info.start_time
            client.log_batch(run_id, params=_params(manifest))
            mlflow.log_input(SnapshotDataset(snapshot), context="training")
            mlflow.log_dict(evidence.decision.as_dict(), "gate.json")
            confusion = _log_classes(evidence.detail, manifest.challenger)
            model_uri = log_model(evidence.artifact)
            # Of metrics that a run has before its model MLflow asks for the history, each by a request.
            client.log_batch(run_id, metrics=_metrics(evidence, at, model_uri.removeprefix(MODEL_SCHEME)))
    return Logged(run_id, model_uri, confusion)


def draw_pictures(tracking_uri: str, logged: Iterable[Logged]) -> None:
    """Give the runs their pictures.

    Raises:
        RegistryUnavailable: MLflow went away, or cannot reach where it keeps artifacts.
    """
    with translated(tracking_uri):
        client = MlflowClient(tracking_uri)
        for one in logged:
            if (shown := one.confusion) is not None:
                figure = draw_confusion(shown.counts, list(shown.classes), shown.title)
                client.log_figure(one.run_id, figure, CONFUSION_PICTURE)


def _metrics(evidence: Evidence, at: int, model_id: str | None = None) -> list[Metric]:
    """The learning curve, and the final metrics, which MLflow shows of the model as well."""
    curve = [
        Metric(f"train_{name}", value, at, epoch)
        for epoch, metrics in evidence.curve
        for name, value in metrics.items()
    ]
    final: dict[str, float] = {**evidence.scores, "train_seconds": evidence.seconds}
    if evidence.production_scores is not None:
        final |= {f"production_{name}": value for name, value in evidence.production_scores.items()}
    final |= {f"plain_{name}": value for name, value in (evidence.plain_scores or {}).items()}
    final |= {f"original_{name}": value for name, value in evidence.original_scores.items()}
    if evidence.decision.original is not None:
        final["original_rows"] = evidence.decision.original.rows
    if evidence.decision.difference is not None:
        final["gain"] = evidence.decision.difference
    if evidence.decision.interval is not None:
        final |= {"gain_low": evidence.decision.interval.low, "gain_high": evidence.decision.interval.high}
    final |= _calibration_metrics(evidence.decision.calibration)
    final |= _cost_metrics(evidence.decision.costs)
    final |= _record_metrics(evidence.decision.record)
    if evidence.manifest.parity is not None:
        final["onnx_max_difference"] = evidence.manifest.parity.max_difference
    final |= {"train_rows": evidence.manifest.rows, "judged_rows": evidence.decision.rows}
    return curve + [
        Metric(name, value, at, 0, model_id=model_id) for name, value in final.items() if np.isfinite(value)
    ]


def _calibration_metrics(found: Calibration | None) -> dict[str, float]:
    """How far scores are from how often answers are right; nothing where that is not known."""
    if found is None:
        return {}
    had = {} if found.production is None else {"production_calibration_error": found.production}
    return {"calibration_error": found.challenger, **had}


def _cost_metrics(costs: Costs | None) -> dict[str, float]:
    """What a version costs where it serves; nothing where that is not known."""
    if costs is None:
        return {}
    return {"artifact_bytes": costs.bytes} | (
        {} if costs.latency_ms is None else {"latency_ms": costs.latency_ms}
    )


def _record_metrics(record: RecordGain | None) -> dict[str, float]:
    """What challengers of earlier retrains were worth; nothing where that is not known."""
    if record is None:
        return {}
    return {f"record_{name}": getattr(record, name) for name in ("gain", "lower", "lost", "line", "rows")}


def _params(manifest: Manifest) -> list[Param]:
    params: dict[str, Any] = {
        "estimator": manifest.estimator,
        "challenger": manifest.challenger,
        "fit": manifest.fit,
        "seed": manifest.seed,
        **manifest.params,
    }
    if manifest.members:
        params["members"] = ", ".join(f"{one.name} {one.weight:.2g}" for one in manifest.members)
    return [Param(name, str(value)[:MAX_PARAM]) for name, value in params.items()]


class SnapshotDataset(MetaDataset):
    """A snapshot as MLflow names data: where it is, its digest, and how many rows it has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        with warnings.catch_warnings():
            # MLflow registers its source of local files twice, and warns of the choice.
            warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted")
            source = resolve_dataset_source(snapshot.uri)
        super().__init__(source, name=snapshot.use_case, digest=snapshot.digest[:MAX_DIGEST])

    @property
    def profile(self) -> dict[str, int]:
        """Row counts."""
        counts = self.snapshot
        return {"rows": counts.rows, "train_rows": counts.train_rows, "holdout_rows": counts.holdout_rows}

    def to_dict(self) -> dict[str, str]:
        """What MLflow stores."""
        return {**super().to_dict(), "profile": json.dumps(self.profile)}


def _log_classes(detail: Detail, challenger: str) -> Confusion | None:
    """What is known class by class, as numbers; and what is to be drawn of it while it can be read."""
    mlflow.log_dict({name: asdict(one) for name, one in detail.class_scores.items()}, "classes.json")
    counts, classes = detail.confusion, list(detail.classes)
    if counts is None:
        return None
    mlflow.log_dict({"classes": classes, "counts": counts.tolist()}, "confusion_matrix.json")
    return None if len(classes) > MOST_DRAWN else Confusion(counts, classes, f"{challenger}: judged rows")


def draw_confusion(counts: NDArray[np.int64], classes: list[str], title: str) -> Figure:
    """The counts as a picture; what stands between dollars is no formula."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    names = [one_line(name).replace("$", r"\$") for name in classes]
    figure = Figure(figsize=(2 + 0.5 * len(classes), 2 + 0.5 * len(classes)))
    axes = figure.subplots()
    display = ConfusionMatrixDisplay(counts, display_labels=names)
    display.plot(ax=axes, xticks_rotation="vertical", colorbar=False, cmap="Blues")
    axes.set_title(title)
    figure.tight_layout()
    return figure
