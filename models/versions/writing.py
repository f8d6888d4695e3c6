"""From a model that has learned to a version on disk: whole or not at all, with what proves it."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np

from configs.schema import UseCase
from features.encoders.adopted import AdoptedEncoder
from features.encoders.contract import row_count
from features.records.contract import Columns, RecordContract, take
from models.errors import NoExport
from models.estimators.arrays import part_rows
from models.estimators.blend import Blend
from models.estimators.contract import Fitted
from models.provenance.fit_inputs import FIT, FitInputs
from models.versions.artifact import (
    BLEND_FORMAT,
    FORMAT,
    MANIFEST,
    NATIVE,
    ONNX,
    PLAIN_FORMAT,
    PROBE,
    USE_CASE,
    Lineage,
    Manifest,
    MemberManifest,
    Probe,
    file_digests,
    write_encoder,
    write_json,
)
from models.versions.export import export_model
from models.versions.fit_failures import WRITE, naming_estimator
from models.versions.fitting import FittedModel

PROBE_ROWS = 16
OWN_LIBRARY = "served by its own library, not through ONNX"


def write_artifact(
    directory: Path,
    fitted: FittedModel,
    use_case: UseCase,
    holdout: Columns,
    *,
    lineage: Lineage,
    created_at: datetime,
    inputs: FitInputs | None = None,
) -> Manifest:
    """Write a version to a directory that does not exist yet; it appears whole or not at all.

    Args:
        directory: where to write.
        fitted: the model.
        use_case: the configuration that it was made with.
        holdout: at least one checked row that it has not learned from, for parity and the probe.
        lineage: where it comes from.
        created_at: now.
        inputs: what the fit was given, by which it can be made again.

    Raises:
        ParityError: the exported model answers differently from the native one.
    """
    draft = directory.with_name(directory.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / NATIVE).mkdir(parents=True)
    try:
        if inputs is not None:
            write_json(draft / FIT, inputs.model_dump(mode="json"))
        manifest = _write_files(draft, fitted, use_case, holdout, lineage, created_at)
        draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def answers_by_itself(manifest: Manifest) -> tuple[str, ...]:
    """Why a version that could have had a graph has none, as its notes say; nothing where it has, or never
    could.
    """
    return tuple(
        f"'{manifest.challenger}' is {note}" for note in manifest.notes if note.startswith(OWN_LIBRARY)
    )


def _write_files(
    draft: Path,
    fitted: FittedModel,
    use_case: UseCase,
    holdout: Columns,
    lineage: Lineage,
    created_at: datetime,
) -> Manifest:
    notes = fitted.notes
    with naming_estimator(fitted.estimator.name, WRITE):
        fitted.estimator.save(draft / NATIVE)
        try:
            compared = _spread(holdout, part_rows(fitted.encoder.input_shape))
            parity = export_model(fitted.estimator, draft / ONNX, fitted.encoder.encode(compared))
        except NoExport as error:
            parity = None
            notes = (*notes, f"{OWN_LIBRARY}: {error}")
    write_json(draft / USE_CASE, use_case.model_dump(mode="json", exclude={"compute"}))
    write_encoder(draft, fitted.encoder)
    write_json(draft / PROBE, _make_probe(fitted, use_case, holdout).model_dump(mode="json"))
    target = use_case.target
    members = _describe_members(fitted.estimator)
    manifest = Manifest(
        format=_format(fitted, members),
        use_case=use_case.name,
        kind=use_case.kind,
        task=target.task,
        classes=fitted.classes,
        positive=target.positive_of(fitted.classes),
        thresholds=fitted.thresholds,
        challenger=fitted.challenger,
        fit=fitted.fit,
        estimator=fitted.estimator.name,
        params=fitted.params,
        members=members,
        seed=fitted.seed,
        rows=fitted.rows,
        notes=notes,
        runtime="native" if parity is None else "onnx",
        input_shape=fitted.encoder.input_shape,
        parity=parity,
        lineage=lineage,
        created_at=created_at,
        files=file_digests(draft),
    )
    write_json(draft / MANIFEST, manifest.to_document())
    return manifest


def _format(fitted: FittedModel, members: tuple[MemberManifest, ...]) -> int:
    """The oldest format that holds all of it."""
    if isinstance(fitted.encoder, AdoptedEncoder):
        return FORMAT
    return BLEND_FORMAT if members else PLAIN_FORMAT


def _describe_members(model: Fitted) -> tuple[MemberManifest, ...]:
    if not isinstance(model, Blend):
        return ()
    return tuple(
        MemberManifest(name=one.name, weight=one.weight, rows=one.rows, window=one.window)
        for one in model.members
    )


def _make_probe(fitted: FittedModel, use_case: UseCase, holdout: Columns) -> Probe:
    """Rows spread evenly over the held-out ones, with the native model's answers."""
    rows = _spread(holdout, PROBE_ROWS)
    answers = fitted.estimator.predict_proba(fitted.encoder.encode(rows))
    return Probe(
        records=tuple(RecordContract(use_case.record).to_json(rows)),
        probabilities=tuple(tuple(row) for row in answers.astype(float).tolist()),
    )


def _spread(rows: Columns, most: int) -> Columns:
    """As many of the rows, spread evenly; all where there are no more."""
    count = row_count(rows)
    return rows if count <= most else take(rows, np.unique(np.linspace(0, count - 1, most).astype(np.intp)))
