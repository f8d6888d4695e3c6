"""The plain model of each kind: what a line of scikit-learn would give."""

from __future__ import annotations

from collections.abc import Mapping

from configs.schema import ChallengerConfig, FeaturesChoice, ModelConfig, TextFeatures, UseCase
from configs.schema.features import STANDARD

PLAIN = "plain"
MOST_ROWS = 20_000
"""It learns from the newest so many, so that it takes seconds."""
WORDS = FeaturesChoice(text=TextFeatures(pieces=0))
"""Single words and pairs of them, weighted by tf-idf."""


def _sklearn(path: str, **params: object) -> ModelConfig:
    return ModelConfig(estimator="sklearn", params={"class": path, **params})


MODELS: Mapping[str, ModelConfig] = {
    "tabular": _sklearn("sklearn.ensemble.HistGradientBoostingClassifier"),
    "image": _sklearn("sklearn.ensemble.ExtraTreesClassifier", n_estimators=100, min_samples_leaf=3),
    "text": ModelConfig(estimator="linear_text"),
    "mixed": ModelConfig(estimator="logistic", params={"max_iter": 30}),
}
"""By kind; of what has many labels a row, only texts have one."""


def plain_challenger(use_case: UseCase, *, first: bool) -> ChallengerConfig | None:
    """The plain model that a retrain enters beside the configured ones, as `training.baseline` says; or None.

    Args:
        first: whether nothing is in production yet.
    """
    when = use_case.training.baseline
    return None if when == "never" or (when == "first" and not first) else plain_model(use_case)


def plain_model(use_case: UseCase) -> ChallengerConfig | None:
    """The plain model of a use case.

    None where a challenger is called so already, where the configured model is just that, or where the kind
    has no plain model for many labels a row.
    """
    if any(one.name == PLAIN for one in use_case.training.challengers):
        return None
    if use_case.target.task == "multilabel" and use_case.kind != "text":
        return None
    features = WORDS if use_case.kind == "text" else None
    if use_case.features.encoder != STANDARD:  # plain is also how records become numbers
        features = (features or FeaturesChoice()).model_copy(update={"encoder": STANDARD})
    made = ChallengerConfig(name=PLAIN, window=MOST_ROWS, model=MODELS[use_case.kind], features=features)
    if made.model == use_case.model and use_case.for_challenger(made).features == use_case.features:
        return None
    return made
