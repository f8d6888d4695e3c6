"""Tables as they are, for classes that know missing values and categories: fitted, exported or not, and
served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import ChallengerConfig, FeaturesConfig, ModelConfig, TabularFeatures, UseCase
from configs.settings import CHECKOUT
from features.encoders.tabular import MANY_VALUES, TabularEncoder
from features.records.contract import RecordContract
from models.errors import TrainingError
from models.estimators.fit_watch import SilentWatch
from models.laws.configured import model_problem
from models.versions.artifact import Lineage, Manifest
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import NOW, fit
from tests.models.estimators.scikit.rows import FOREST, HIST, LIGHTGBM, XGBOOST

NATIVE = {"hist": HIST, "lightgbm": LIGHTGBM, "xgboost": XGBOOST}
AREAS = ("north", "south", "west", "east", "up", "down")
HIGH = {"south", "east", "up"}
BASE = UseCase.model_validate(
    {
        "name": "areas",
        "title": "An area that no order of its values explains, and a size that is missing where it is low",
        "kind": "tabular",
        "record": {
            "fields": [
                {"name": "size", "type": "number", "nullable": True},
                {"name": "count", "type": "integer"},
                {"name": "area", "type": "category", "nullable": True},
                {"name": "since", "type": "datetime", "nullable": True},
            ]
        },
        "target": {"task": "multiclass", "classes": ["low", "middle", "high"]},
        "model": {"estimator": "catboost"},
    }
)


def with_model(params: dict[str, Any], encoding: str = "auto", estimator: str = "sklearn") -> UseCase:
    tabular = TabularFeatures.model_validate({"encoding": encoding})
    model = ModelConfig(estimator=estimator, params=params)
    return BASE.model_copy(update={"model": model, "features": FeaturesConfig(tabular=tabular)})


def rows_of(count: int, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    random = np.random.default_rng(seed)
    records, labels = [], []
    for _ in range(count):
        area = str(random.choice(AREAS))
        size = None if random.random() < 0.3 else float(random.normal(50, 9))
        label = "middle" if size is None else "high" if area in HIGH else "low"
        since = None if random.random() < 0.2 else f"2024-0{random.integers(1, 9)}-11"
        records.append({"size": size, "count": int(random.integers(9)), "area": area, "since": since})
        labels.append(label)
    return records, labels


def make(use_case: UseCase, folder: Path) -> tuple[Manifest, Predictor, Any]:
    contract = RecordContract(use_case.record)
    records, labels = rows_of(400, seed=1)
    held_out = contract.check_records(rows_of(150, seed=2)[0]).all_or_raise()
    fitted = fit(use_case, contract.check_records(records).all_or_raise(), labels)
    manifest = write_artifact(folder / "made", fitted, use_case, held_out, lineage=Lineage(), created_at=NOW)
    return manifest, Predictor.load(folder / "made"), fitted


@pytest.mark.parametrize("name", NATIVE)
def test_what_knows_gaps_and_categories_is_given_them(name: str, tmp_path: Path) -> None:
    if name != "hist":
        pytest.importorskip(name)
    manifest, served, fitted = make(
        with_model({**NATIVE[name], "n_estimators": 30} if name != "hist" else {**HIST, "max_iter": 30}),
        tmp_path,
    )
    assert served.feature_names[0] == "size"
    assert served.feature_names[-1] == "area"
    records, labels = rows_of(200, seed=3)
    records[0]["area"] = "never seen"
    records[1]["area"] = None
    columns = served.contract.check_records(records).all_or_raise()
    encoded = served.encode(columns)
    assert np.isnan(encoded[:, 0]).sum() == sum(one["size"] is None for one in records)
    assert np.isnan(encoded[:2, -1]).all()
    assert set(np.unique(encoded[2:, -1]).tolist()) == set(range(len(AREAS)))
    answers = served.predict(columns)
    assert np.mean(np.array(answers.labels[2:]) == np.array(labels[2:])) > 0.95
    native = fitted.estimator.predict_proba(fitted.encoder.encode(columns))
    np.testing.assert_allclose(answers.probabilities, native, atol=1e-5)
    assert served.check_probe() <= 1e-5
    told = manifest.notes[-1] if manifest.notes else ""
    assert manifest.runtime == "onnx" or "served by its own library, not through ONNX" in told


def test_a_column_that_is_never_missing_in_training_is_filled_as_ever(tmp_path: Path) -> None:
    _, served, _ = make(with_model(HIST), tmp_path)
    columns = served.contract.check_records([{"count": 3, "size": None, "area": "up"}]).all_or_raise()
    assert not np.isnan(served.encode(columns)[0, 1])


def test_it_is_read_again_from_its_state(tmp_path: Path) -> None:
    _, served, fitted = make(with_model(HIST), tmp_path)
    columns = served.contract.check_records(rows_of(20, seed=4)[0]).all_or_raise()
    again = TabularEncoder.from_state(fitted.encoder.to_state())
    np.testing.assert_array_equal(again.encode(columns), fitted.encoder.encode(columns))
    assert again.fences.keys() == {"size", "count", "since"}
    assert again.input_shape == (len(again.feature_names),)
    assert again.category_columns == {len(again.feature_names) - 1: len(AREAS)}


@pytest.mark.parametrize(("estimator", "params"), [("catboost", {"iterations": 5}), ("sklearn", FOREST)])
def test_others_get_a_column_for_each_value(estimator: str, params: dict[str, Any], tmp_path: Path) -> None:
    _, served, fitted = make(with_model(params, estimator=estimator), tmp_path)
    assert "size:missing" in served.feature_names
    assert "area=north" in served.feature_names
    assert "native" not in fitted.encoder.to_state()


def shops_of(count: int, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    """As rows of areas, but of many: each has its own class."""
    records, _ = rows_of(count, seed)
    shops = np.random.default_rng(seed + 100).integers(MANY_VALUES * 2, size=count).tolist()
    records = [{**record, "area": f"shop {shop}"} for record, shop in zip(records, shops, strict=True)]
    return records, [("low", "middle", "high")[shop * 5 % 3] for shop in shops]


def test_categories_of_many_values_are_told_by_what_they_say(tmp_path: Path) -> None:
    contract = RecordContract(BASE.record)
    use_case = with_model({"iterations": 60}, estimator="catboost")
    records, labels = shops_of(800, seed=1)
    unseen, truth = shops_of(200, seed=2)
    unseen[0]["area"], unseen[1]["area"] = "never seen", None
    held_out = contract.check_records(unseen).all_or_raise()
    fitted = fit(use_case, contract.check_records(records).all_or_raise(), labels)
    assert fitted.encoder.to_state()["placed"] == ["area"]
    assert fitted.encoder.feature_names[-1] == "area"
    manifest = write_artifact(
        tmp_path / "made", fitted, use_case, held_out, lineage=Lineage(), created_at=NOW
    )
    served = Predictor.load(tmp_path / "made")
    answers = served.predict(held_out)
    assert np.mean(np.array(answers.labels[2:]) == np.array(truth[2:])) > 0.95
    assert manifest.runtime == "onnx"
    native = fitted.estimator.predict_proba(fitted.encoder.encode(held_out))
    np.testing.assert_allclose(answers.probabilities, native, atol=1e-5)
    again = TabularEncoder.from_state(fitted.encoder.to_state())
    np.testing.assert_array_equal(again.encode(held_out), fitted.encoder.encode(held_out))


def test_a_blend_has_the_shares_of_each_member(tmp_path: Path) -> None:
    contract = RecordContract(BASE.record)
    use_case = with_model({"iterations": 20}, estimator="catboost")
    records, labels = shops_of(800, seed=1)
    held_out = contract.check_records(shops_of(100, seed=2)[0]).all_or_raise()
    members = ({"name": "all"}, {"name": "newest", "window": 1})
    blend = ChallengerConfig.model_validate({"name": "blend", "members": members})
    fitted = fit_challenger(
        use_case, contract.check_records(records).all_or_raise(), labels, challenger=blend,
        watch=SilentWatch(), ages=np.repeat([1, 0], 400), weights={"all": 1.0, "newest": 1.0},
    )  # fmt: skip
    write_artifact(tmp_path / "made", fitted, use_case, held_out, lineage=Lineage(), created_at=NOW)
    served = Predictor.load(tmp_path / "made")
    native = fitted.estimator.predict_proba(fitted.encoder.encode(held_out))
    np.testing.assert_allclose(served.predict(held_out).probabilities, native, atol=1e-5)


def test_places_are_refused_where_nothing_learns_from_them(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"got places, .* knows no places of categories; allowed: auto, one_hot"
    ):
        make(with_model(FOREST, encoding="places"), tmp_path)


def test_what_is_configured_goes_before(tmp_path: Path) -> None:
    _, served, _ = make(with_model(HIST, encoding="one_hot"), tmp_path)
    assert "area=north" in served.feature_names
    refused = with_model(FOREST, encoding="native")
    assert "knows neither missing values nor categories" in str(model_problem(refused))
    with pytest.raises(TrainingError, match="knows neither missing values nor categories"):
        make(refused, tmp_path / "refused")


def test_label_sets_are_learned_from_them_too(tmp_path: Path) -> None:
    target = BASE.target.model_copy(update={"task": "multilabel", "classes": ("low", "middle", "high")})
    gate = BASE.gate.model_copy(update={"metric": "f1_micro"})
    use_case = with_model(HIST).model_copy(update={"target": target, "gate": gate})
    manifest, served, _ = make(use_case, tmp_path)
    assert (manifest.runtime, served.feature_names[-1]) == ("native", "area")
    assert served.check_probe() <= 1e-5


IN_A_LIGHT_WORKER = """
import sys
from pathlib import Path
sys.modules["pandas"] = None
from models.versions.predictor import Predictor
print(Predictor.load(Path(sys.argv[1])).check_probe())
"""


def test_a_worker_without_pandas_answers(tmp_path: Path) -> None:
    manifest, _, _ = make(with_model(HIST), tmp_path)
    assert manifest.runtime == "native"
    asked = subprocess.run(
        [sys.executable, "-c", IN_A_LIGHT_WORKER, str(tmp_path / "made")],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr[-2000:]
    assert float(asked.stdout) <= 1e-5
