"""What a fit was given is written beside the model, and read again by this Ratchet and later ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.estimators.catalogue import ESTIMATORS
from models.provenance.fit_inputs import FIT, FitInputs, digest_rows
from models.provenance.surroundings import FITS_WITH, at_most_cores, surroundings_here, usable_cores
from models.shadows.periods import ages_of
from models.versions.artifact import Lineage, read_fit, read_manifest
from models.versions.writing import write_artifact
from tests.contract.cases import NOW, Case

SEQ = np.array([4, 7, 9])


def written(trees: Case, folder: Path, inputs: FitInputs) -> Path:
    artifact = folder / "made"
    write_artifact(
        artifact, trees.fitted, trees.use_case, trees.held_out,
        lineage=Lineage(), created_at=NOW, inputs=inputs,
    )  # fmt: skip
    return artifact


def test_what_was_written_is_read_and_vouched_for(trees: Case, tmp_path: Path) -> None:
    inputs = FitInputs(
        rows=3, rows_digest=digest_rows(SEQ), sample_count=3, period_ends=(2, 5),
        weights={"full": 1 / 3, "newest_1": 2 / 3}, surroundings=surroundings_here("catboost"),
    )  # fmt: skip
    artifact = written(trees, tmp_path, inputs)
    assert read_fit(artifact) == inputs
    manifest = read_manifest(artifact)
    assert FIT in manifest.files
    assert (manifest.format, manifest.lineage) == (2, Lineage())  # an older Ratchet reads it


def test_an_older_version_has_none(trees: Case) -> None:
    assert read_fit(trees.artifact) is None


def test_what_a_later_release_adds_is_passed_over(trees: Case, tmp_path: Path) -> None:
    artifact = written(trees, tmp_path, FitInputs(rows=3))
    told = json.loads((artifact / FIT).read_text("utf-8"))
    told["surroundings"]["driver"] = "590"
    (artifact / FIT).write_text(json.dumps({**told, "phase": "new"}), "utf-8")
    assert read_fit(artifact) == FitInputs(rows=3)


def test_rows_in_another_order_are_others() -> None:
    assert digest_rows(SEQ) == digest_rows(SEQ.astype(np.int32))
    assert digest_rows(SEQ) != digest_rows(SEQ[::-1])
    assert digest_rows(SEQ) != digest_rows(SEQ[:2])


def test_the_ends_of_the_newest_periods_cut_windows_as_all_do() -> None:
    seq, ends, widest = np.arange(1, 60), list(range(5, 50, 5)), 3
    for window in range(1, widest + 1):
        np.testing.assert_array_equal(
            ages_of(seq, ends) < window, ages_of(seq, ends[-widest:]) < window
        )  # fmt: skip


def test_of_every_estimator_it_is_known_what_fits_it() -> None:
    assert FITS_WITH.keys() == ESTIMATORS.keys()
    for name in ESTIMATORS:
        here = surroundings_here(name)
        assert here.packages.keys() >= {"numpy", "onnxruntime", *FITS_WITH[name]}
        assert here.machine
    assert surroundings_here("keras_cnn").packages.keys() >= {"tensorflow", "keras"}


@pytest.mark.skipif(usable_cores() < 2, reason="one core only")
def test_a_process_is_kept_to_fewer_cores_and_has_its_own_again() -> None:
    before = os.sched_getaffinity(0)
    with at_most_cores(1):
        assert usable_cores() == 1
        with at_most_cores(2):  # there are no more than one now
            assert usable_cores() == 1
    assert os.sched_getaffinity(0) == before
    with at_most_cores(None):
        assert os.sched_getaffinity(0) == before
