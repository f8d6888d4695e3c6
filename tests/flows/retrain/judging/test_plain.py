"""A plain model beside the configured ones: when there is one, when it serves, and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from numpy.typing import NDArray

from configs.schema import UseCase
from flows.retrain.judging.deciding import judge_answers
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.plain import keep_configured, plain_standing
from flows.retrain.training.plain import PLAIN, plain_challenger
from models.gate.answers import JudgedAnswers
from models.gate.decision import best
from models.retraining.backlog import read_production
from models.versions.predictor import Answers
from store.runs.rows import last_run
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

KINDS = {
    "tabular": ({"name": "weight", "type": "number"}, "catboost"),
    "text": ({"name": "words", "type": "text"}, "linear_text"),
    "image": ({"name": "picture", "type": "image", "shape": [8, 8]}, "keras_cnn"),
    "mixed": ({"name": "words", "type": "text"}, "keras_mixed"),
}
ROWS = 400


def use_case(kind: str = "tabular", **parts: Any) -> UseCase:
    field, estimator = KINDS[kind]
    described = {
        "name": "apples",
        "title": "Apples",
        "kind": kind,
        "record": {"fields": [field]},
        "target": {"task": "binary", "column": "grade", "classes": ["no", "yes"], "positive": "yes"},
        "model": {"estimator": estimator},
        "gate": {"metric": "accuracy", "resamples": 500},
    }
    return UseCase.model_validate(described | parts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_model_of_each_kind_has_a_plain_one_beside_it(kind: str) -> None:
    plain = plain_challenger(use_case(kind), first=True)
    assert plain is not None
    assert (plain.name, plain.fit, plain.window) == (PLAIN, "full", 20_000)
    assert plain_challenger(use_case(kind), first=False) is None


def test_configuration_says_when_there_is_one() -> None:
    always, never = (use_case(training={"baseline": when}) for when in ("always", "never"))
    assert plain_challenger(always, first=False) is not None
    assert plain_challenger(never, first=True) is None


def test_there_is_none_beside_itself_or_one_of_its_name() -> None:
    named = use_case(training={"challengers": [{"name": "full"}, {"name": PLAIN}]})
    assert plain_challenger(named, first=True) is None
    plain = plain_challenger(use_case(), first=True)
    assert plain is not None and plain.model is not None
    itself = use_case(model=plain.model.model_dump())
    assert plain_challenger(itself, first=True) is None


def test_many_labels_a_row_have_one_for_texts_only() -> None:
    target = {"task": "multilabel", "column": "topics"}
    gate = {"metric": "f1_micro"}
    assert plain_challenger(use_case("text", target=target, gate=gate), first=True) is not None
    assert plain_challenger(use_case("mixed", target=target, gate=gate), first=True) is None


def judged(*, production: float | None = None, **right: float) -> Judgement:
    """Challengers that answer so many of the rows rightly, each the first ones."""
    labels = ["no", "yes"] * (ROWS // 2)

    def answers(share: float) -> Answers:
        truth = np.array([label == "yes" for label in labels])
        said = np.where(np.arange(ROWS) < share * ROWS, truth, ~truth)
        probabilities = np.stack([1 - said, said], axis=1).astype(np.float32)
        return Answers(("no", "yes"), probabilities)

    known = JudgedAnswers(
        labels,
        {name: answers(share) for name, share in right.items()},
        None if production is None else answers(production),
        None,
        ("no", "yes"),
        "yes",
    )
    config = use_case()
    return keep_configured(config, judge_answers(config, known))


def test_a_plain_model_serves_first_only_where_it_is_surely_better() -> None:
    near, far = judged(full=0.80, plain=0.802), judged(full=0.80, plain=0.90)
    assert best(near.decisions) == "full"
    assert (near.decisions[PLAIN].verdict, near.decisions[PLAIN].outcome) == ("reject", "plain_not_better")
    assert "'full'" in near.decisions[PLAIN].reason
    assert best(far.decisions) == PLAIN
    assert far.decisions[PLAIN].outcome == "first_model"


def test_beside_production_it_is_judged_like_the_others() -> None:
    after = judged(production=0.80, full=0.81, plain=0.90)
    assert after.decisions[PLAIN].outcome == "beats_production"
    assert best(after.decisions) == PLAIN


def test_where_the_plain_model_is_better_that_is_told() -> None:
    near = plain_standing(use_case(), judged(full=0.80, plain=0.802), "full", promoted=True)
    assert near is not None and near.better and not near.proven
    assert near.sentence == (
        "accuracy 0.8000, a plain model 0.8025 on the same 400 rows: the plain one is better, though chance "
        "may explain it"
    )
    kept = judged(production=0.80, full=0.81, plain=0.90)
    far = plain_standing(use_case(), kept, PLAIN, promoted=False)
    assert far is not None and far.proven and far.serving == pytest.approx(0.80)
    assert far.sentence.endswith("the plain one is better, and chance does not explain it")


def test_whether_it_is_proven_is_weighed_as_the_scores_are() -> None:
    labels = ["no", "yes"] * (ROWS // 2)
    wins, loses = np.arange(ROWS) < 100, np.arange(ROWS) == 100

    def right(where: NDArray[np.bool_]) -> Answers:
        is_yes = (np.array(labels) == "yes") == where
        return Answers(("no", "yes"), np.stack([~is_yes, is_yes], axis=1).astype(np.float32))

    challengers = {"full": right(np.zeros(ROWS, dtype=np.bool_)), PLAIN: right(~loses)}
    answers = JudgedAnswers(labels, challengers, right(~wins), None, ("no", "yes"), "yes")
    config, told = use_case(), []
    for weights in (None, np.where(wins, 0.01, np.where(loses, 0.9, 1.0))):
        judgement = judge_answers(config, answers, row_weights=weights)
        told.append(plain_standing(config, judgement, "full", promoted=False))
    alike, weighed = told
    assert alike is not None and alike.better and alike.proven
    assert weighed is not None and weighed.better and not weighed.proven, "one row could turn it"


def test_where_it_is_not_better_its_score_is_told_and_no_more() -> None:
    told = plain_standing(use_case(), judged(full=0.90, plain=0.80), "full", promoted=True)
    assert told is not None and not told.better
    assert told.sentence == "accuracy 0.9000, a plain model 0.8000 on the same 400 rows"


def test_that_it_serves_itself_is_told() -> None:
    told = plain_standing(use_case(), judged(full=0.80, plain=0.90), PLAIN, promoted=True)
    assert told is not None and not told.better
    assert "by a plain model, which is surely better than 'full' with 0.8000" in told.sentence


def test_without_one_nothing_is_told() -> None:
    assert plain_standing(use_case(), judged(full=0.80), "full", promoted=True) is None


def test_a_first_retrain_holds_its_model_against_a_plain_one(
    mlflow_server: Server, database_url: str, tmp_path: Path
) -> None:
    orchard = open_orchard(
        "orchard_plain", tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store, "first"
    )
    orchard.take_in(1000, edge=0.5)
    first = orchard.retrain()
    assert set(first.trained) == {"blend", PLAIN}
    with orchard.context.connect() as conn:
        facts = read_production(conn, orchard.registry, orchard.name)
        run = last_run(conn, orchard.name)
    assert facts is not None and facts.plain is not None
    assert facts.plain.startswith("accuracy ") and "a plain model " in facts.plain
    assert run is not None and run.result is not None
    assert run.result["plain"]["sentence"] == facts.plain
    assert PLAIN in run.result["scores"]
    shown = [one for one in mlflow_metrics(orchard) if "plain_accuracy" in one]
    assert len(shown) == 1, "the plain model is not told beside itself"

    orchard.take_in(400, edge=0.5, seed=2)
    later = orchard.retrain()
    assert PLAIN not in later.trained
    with orchard.context.connect() as conn:
        kept = last_run(conn, orchard.name)
    assert kept is not None and kept.result is not None and kept.result["plain"] is None


def mlflow_metrics(orchard: Orchard) -> list[dict[str, float]]:
    """Metrics of each MLflow run of the use case."""
    client = MlflowClient(orchard.context.settings.mlflow_uri)
    experiment = client.get_experiment_by_name(orchard.name)
    assert experiment is not None
    return [dict(one.data.metrics) for one in client.search_runs([experiment.experiment_id])]
