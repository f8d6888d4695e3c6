from __future__ import annotations

from typing import Any

import pytest

from models.errors import ParamError
from models.estimators.scikit.spelling import build, packages_named
from tests.models.estimators.scikit.rows import named

SCALER, SVC = "sklearn.preprocessing.StandardScaler", "sklearn.svm.SVC"
FOREST = "sklearn.ensemble.RandomForestClassifier"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, r"params\.class: sklearn got None; allowed: the import path of a classifier"),
    "number": ({"class": 3}, r"params\.class: sklearn got 3; allowed: an import path with dots"),
    "misspelt_class": (named("sklearn.ensemble.RandomForestClasifier"), rf"is '{FOREST}' meant"),
    "misspelt_module": (named("sklearn.ensembel.RandomForestClassifier"), rf"is '{FOREST}' meant"),
    "misspelt_package": (named("sklear.ensemble.RandomForestClassifier"), rf"is '{FOREST}' meant"),
    "not_installed": (named("nopackage.models.Net"), "nopackage is not installed here"),
    "misspelt_parameter": (
        named(FOREST, n_estimator=3),
        rf"params\.n_estimator: {FOREST} got 3; .*is 'n_estimators' meant",
    ),
    "wrong_value": (
        named(FOREST, n_estimators="many"),
        r"params\.n_estimators: .* got 'many'; allowed: an int in the range \[1, inf\)",
    ),
    "wrong_value_in_a_step": (
        {"steps": [{"class": "sklearn.decomposition.PCA", "n_components": "few"}, SVC]},
        r"params\.steps\.0\.n_components: .* got 'few'; allowed: an int in the range",
    ),
    "misspelt_parameter_of_lightgbm": (
        named("lightgbm.LGBMClassifier", n_estimator=3),
        r"params\.n_estimator: lightgbm.LGBMClassifier got 3; .*is 'n_estimators' meant",
    ),
    "regressor": (named("sklearn.ensemble.RandomForestRegressor"), "regression is not supported"),
    "regressor_of_xgboost": (named("xgboost.XGBRegressor"), "regression is not supported"),
    "regressor_in_a_pipeline": ({"steps": [SCALER, "sklearn.svm.SVR"]}, "regression is not supported"),
    "objective_of_lightgbm": (
        named("lightgbm.LGBMClassifier", objective="regression_l1"),
        r"params\.objective: .*regression is not supported",
    ),
    "objective_of_xgboost": (
        named("xgboost.XGBClassifier", objective="reg:squarederror"),
        "regression is not supported",
    ),
    "clusters": (named("sklearn.cluster.KMeans"), r"params\.class: .*allowed: a classifier"),
    "function": (named("os.system"), "a class with scikit-learn's interface"),
    "class_without_fit": (named("subprocess.Popen"), "a class with scikit-learn's interface"),
    "no_steps": ({"steps": []}, r"params\.steps: sklearn got \[\]; allowed: a list of classes"),
    "step_without_class": ({"steps": [{"n_components": 3}]}, r"params\.steps\.0: .*a class with its"),
    "classifier_before_the_last": ({"steps": [SVC, SVC]}, r"params\.steps\.0: .*only the last is"),
    "transformer_at_the_end": ({"steps": [SCALER]}, "allowed: a classifier"),
    "two_steps_of_one_name": (
        {"steps": [{"name": "a", "class": SCALER}, {"name": "a", "class": SVC}]},
        r"params\.steps\.1\.name: sklearn got 'a'; allowed: a name that no other has",
    ),
    "parameter_beside_steps": ({"steps": [SVC], "C": 3}, r"params\.C: .*one of the parameters class, steps"),
    "required": (named("sklearn.multiclass.OneVsRestClassifier"), "with its parameter estimator"),
    "hard_votes": (
        named("sklearn.ensemble.VotingClassifier", estimators=[{"class": SVC}]),
        "soft: votes are no probabilities",
    ),
    "weights_by_label": (
        named("sklearn.svm.LinearSVC", class_weight={"spam": 3}),
        r"params\.class_weight: .*'balanced' or null",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_by_name(case: str) -> None:
    params, message = REFUSED[case]
    for package in ("lightgbm", "xgboost"):
        if package in case:
            pytest.importorskip(package)
    with pytest.raises(ParamError, match=message) as refused:
        build(params)
    assert "\n" not in str(refused.value)


def test_a_pipeline_has_names_without_being_given_any() -> None:
    made = build({"steps": [SCALER, SCALER, {"name": "last", "class": SVC, "C": 0.5}]})
    assert [name for name, _ in made.steps] == ["standardscaler", "standardscaler-2", "last"]
    assert made.steps[-1][1].C == 0.5
    assert type(made).__module__.startswith("sklearn.")


def test_a_pipeline_that_resamples_is_that_of_imbalanced_learn() -> None:
    made = build({"steps": ["imblearn.over_sampling.SMOTE", SVC]})
    assert type(made).__module__.startswith("imblearn.")


def test_parameters_may_be_classes_again() -> None:
    inner = named("sklearn.calibration.CalibratedClassifierCV", estimator={"class": "sklearn.svm.LinearSVC"})
    bayes = {"name": "bayes", "class": "sklearn.naive_bayes.GaussianNB"}
    made = build(named("sklearn.ensemble.VotingClassifier", voting="soft", estimators=[bayes, inner]))
    assert [name for name, _ in made.estimators] == ["bayes", "calibratedclassifiercv"]
    assert type(made.estimators[1][1].estimator).__name__ == "LinearSVC"


def test_packages_are_named_wherever_a_class_is() -> None:
    params = {
        "steps": ["imblearn.over_sampling.SMOTE", {"class": "lightgbm.LGBMClassifier"}],
        "other": {"class": "os.path.Any", "inner": [{"class": "xgboost.XGBClassifier"}]},
    }
    assert packages_named(params) == {"imblearn", "lightgbm", "xgboost"}


def test_lightgbm_takes_its_parameters_by_every_name_of_theirs() -> None:
    pytest.importorskip("lightgbm")
    made = build(named("lightgbm.LGBMClassifier", max_bin=31, feature_fraction=0.5))
    assert made.get_params()["max_bin"] == 31
