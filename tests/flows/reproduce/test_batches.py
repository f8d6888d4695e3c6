"""A fit takes its rows as what is written down of it says: in batches, or all at once."""

from __future__ import annotations

import numpy as np
import pytest

from configs.schema import ChallengerConfig
from flows.retrain.training.fitting import fit_rows
from models.estimators.fit_watch import SilentWatch
from models.provenance.fit_inputs import FitInputs
from models.versions.fitting import FittedModel
from store.snapshots.frames import Frame
from store.snapshots.uses import TRAIN
from tests.models.streamed.test_fitting import ROWS, use_case_of

FRAME = Frame(
    ROWS.columns,
    ROWS.labels,
    np.array([f"i:{seq}" for seq in ROWS.seq], object),
    ROWS.seq,
    ROWS.time,
    np.full(len(ROWS), TRAIN),
)


def fit(in_batches: bool | None) -> FittedModel:
    return fit_rows(
        use_case_of("keras_mixed", epochs=1, embedding=4, dense=4),
        FRAME.rows,
        ChallengerConfig(name="full"),
        FitInputs(in_batches=in_batches),
        watch=SilentWatch(),
        parent=None,
        checkpoint_dir=None,
    )


@pytest.mark.slow
def test_a_network_is_made_again_as_it_was_made() -> None:
    batches, again, at_once = (fit(in_batches) for in_batches in (True, True, None))
    x = batches.encoder.encode(ROWS.columns)
    answers = batches.estimator.predict_proba(x)
    np.testing.assert_array_equal(again.estimator.predict_proba(x), answers)
    assert np.abs(at_once.estimator.predict_proba(x) - answers).max() > 1e-4


def test_a_frame_gives_its_rows_in_batches() -> None:
    assert [seq for batch in FRAME.rows for seq in batch.seq] == ROWS.seq.tolist()
    assert len(FRAME.train.rows) == len(ROWS)
