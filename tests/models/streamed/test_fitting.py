"""A version made of batches is the version that is made of all rows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import ChallengerConfig, MemberConfig, UseCase
from features.encoders.image import ImageEncoder
from features.records.contract import Columns
from features.records.rows import RowBatch, RowsInMemory
from models.errors import TrainingError, TrainingStopped
from models.estimators import arrays
from models.estimators.catalogue import make_estimator
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import class_indices
from models.shadows.periods import ages_of
from models.streamed.fitting import fit_streamed
from models.versions.fitting import FittedModel, fit_challenger

COUNT = 2600
FULL = ChallengerConfig(name="full")


def use_case_of(estimator: str, **params: Any) -> UseCase:
    fields = [
        {"name": "near", "type": "number", "nullable": True},
        {"name": "far", "type": "number"},
        {"name": "colour", "type": "category", "nullable": True},
        {"name": "day", "type": "datetime"},
    ]
    return UseCase.model_validate(
        {
            "name": "one",
            "title": "One",
            "kind": "tabular",
            "record": {"fields": fields},
            "target": {"task": "multiclass"},
            "features": {"tabular": {"outliers": "drop"}},
            "model": {"estimator": estimator, "params": params},
        }
    )


def rows_of(count: int = COUNT) -> RowBatch:
    random = np.random.default_rng(2)
    classes = random.integers(0, 3, count)
    near = random.normal(size=count) + 2 * classes
    near[::11] = np.nan
    far = random.standard_t(2, count)
    far[5] = 1e250
    colours = np.array(["red", "green", "blue", None], object)
    columns: Columns = {
        "near": near,
        "far": far,
        "colour": colours[np.where(random.random(count) < 0.6, classes, 3)],
        "day": np.datetime64("2024-01-01", "us") + np.arange(count) * np.timedelta64(1, "h"),
    }
    labels = np.array(["a", "b", "c"], object)[classes]
    return RowBatch(columns, labels, np.arange(count) + 1, columns["day"])


ROWS = rows_of()
ESTIMATORS: dict[str, tuple[dict[str, Any], float]] = {
    "logistic_batches": ({}, 1e-5),
    "xgboost": ({"trees": 20}, 0.0),
}
"""Parameters, and how far answers may lie apart: encoders differ by the rounding of sums."""
BLEND = ChallengerConfig(
    name="blend",
    members=(MemberConfig(name="full"), MemberConfig(name="newest", window=2)),
)


def fit_all(use_case: UseCase, challenger: ChallengerConfig, ends: tuple[int, ...] = ()) -> FittedModel:
    return fit_challenger(
        use_case,
        ROWS.columns,
        list(ROWS.labels),
        challenger=challenger,
        watch=SilentWatch(),
        ages=ages_of(ROWS.seq, ends),
        weights={"full": 0.5, "newest": 0.5},
        times=ROWS.time,
    )


def test_pictures_are_encoded_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = UseCase.model_validate(
        {
            "name": "one",
            "title": "One",
            "kind": "image",
            "record": {"fields": [{"name": "picture", "type": "image", "shape": [6, 6]}]},
            "target": {"task": "multiclass"},
            "model": {"estimator": "logistic_batches"},
        }
    )
    random = np.random.default_rng(3)
    labels = np.array(["a", "b", "c"], object)[random.integers(0, 3, 300)]
    pictures = random.integers(0, 256, (300, 6, 6)).astype(np.uint8)
    pictures[labels == "a", 0] //= 4
    seq = np.arange(300) + 1
    rows = RowBatch({"picture": pictures}, labels, seq, seq.astype("datetime64[us]"))
    asked: list[int] = []
    encode = ImageEncoder.encode

    def counting(self: ImageEncoder, columns: Columns) -> Any:
        asked.append(len(columns["picture"]))
        return encode(self, columns)

    monkeypatch.setattr(ImageEncoder, "encode", counting)
    monkeypatch.setattr(arrays, "PART_BYTES", 40 * 36 * 4)
    made = fit_streamed(use_case, RowsInMemory(rows), challenger=FULL, watch=SilentWatch(), folder=tmp_path)
    assert (made.rows, sum(asked), max(asked)) == (300, 300, 40)
    x = encode(ImageEncoder("picture", (6, 6)), {"picture": pictures})
    whole = make_estimator("logistic_batches", {})
    whole.fit(
        x, class_indices(labels.tolist(), made.classes), n_classes=3, seed=made.seed, watch=SilentWatch()
    )
    np.testing.assert_array_equal(made.estimator.predict_proba(x), whole.predict_proba(x))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("challenger", "ends"),
    [
        (FULL, ()),
        (ChallengerConfig(name="recent", window=900), ()),
        (ChallengerConfig(name="last_days", window="30d"), ()),
        (BLEND, (1000, 1800)),
    ],
    ids=["full", "window of rows", "window of time", "blend"],
)
def test_the_same_version_is_made(
    estimator: str, challenger: ChallengerConfig, ends: tuple[int, ...], tmp_path: Path
) -> None:
    params, tolerance = ESTIMATORS[estimator]
    use_case = use_case_of(estimator, **params)
    whole = fit_all(use_case, challenger, ends)
    streamed = fit_streamed(
        use_case,
        RowsInMemory(ROWS, most=333),
        challenger=challenger,
        watch=SilentWatch(),
        folder=tmp_path,
        period_ends=ends,
        weights={"full": 0.5, "newest": 0.5},
    )
    assert (streamed.rows, streamed.classes, streamed.notes) == (whole.rows, whole.classes, whole.notes)
    assert streamed.rows < COUNT  # some are outliers
    x, beside = whole.encoder.encode(ROWS.columns), streamed.encoder.encode(ROWS.columns)
    np.testing.assert_allclose(x, beside, rtol=1e-5, atol=1e-6)
    answers, found = whole.estimator.predict_proba(x), streamed.estimator.predict_proba(beside)
    np.testing.assert_allclose(answers, found, rtol=0, atol=tolerance)
    assert list(tmp_path.iterdir()) == []


def test_absurd_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    use_case = use_case_of("logistic_batches")
    plain = use_case.features.tabular.model_copy(update={"outliers": "keep"})
    use_case = use_case.model_copy(
        update={"features": use_case.features.model_copy(update={"tabular": plain})}
    )
    whole = fit_all(use_case, FULL)
    streamed = fit_streamed(
        use_case,
        RowsInMemory(ROWS, most=100),
        challenger=FULL,
        watch=SilentWatch(),
        folder=tmp_path,
    )
    assert any("values that cannot be meant" in note for note in whole.notes)
    assert (streamed.rows, streamed.notes) == (whole.rows, whole.notes)


def test_one_class_and_a_stop_end_it_by_name(tmp_path: Path) -> None:
    use_case = use_case_of("logistic_batches")
    same = RowBatch(ROWS.columns, np.full(COUNT, "a", object), ROWS.seq, ROWS.time)
    with pytest.raises(TrainingError, match="hold 1 class; at least 2 are needed"):
        fit_streamed(use_case, RowsInMemory(same), challenger=FULL, watch=SilentWatch(), folder=tmp_path)

    class Stop(SilentWatch):
        def should_stop(self) -> bool:
            return True

    for estimator in ESTIMATORS:
        with pytest.raises(TrainingStopped):
            fit_streamed(
                use_case_of(estimator), RowsInMemory(ROWS), challenger=FULL, watch=Stop(), folder=tmp_path
            )


@pytest.mark.slow
def test_a_network_learns_from_batches(tmp_path: Path) -> None:
    use_case = use_case_of("keras_mixed", epochs=4, embedding=16, dense=8)
    made = [
        fit_streamed(
            use_case, RowsInMemory(ROWS, most=500), challenger=FULL, watch=SilentWatch(), folder=tmp_path
        )
        for _ in range(2)
    ]
    x = made[0].encoder.encode(ROWS.columns)
    answers, again = (one.estimator.predict_proba(x) for one in made)
    np.testing.assert_array_equal(answers, again)
    right = (np.array(made[0].classes)[answers.argmax(axis=1)] == ROWS.labels).mean()
    assert right > 0.7
