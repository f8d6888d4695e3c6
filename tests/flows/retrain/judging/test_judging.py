"""Challengers and production on the same rows: every way that the comparison can come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.schema import (
    ChallengerConfig,
    FieldConfig,
    GateConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    UseCase,
)
from configs.settings import read_settings
from features.records.contract import Columns
from flows.context import LoopContext
from flows.retrain import outcome
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.deciding import judge_answers, judge_challengers
from flows.retrain.judging.run import judge_all, original_rows
from flows.retrain.production import NO_PRODUCTION, Production
from flows.retrain.tracking import Evidence
from flows.retrain.training.challenger import Trained
from models.errors import ModelError
from models.estimators.fit_watch import SilentWatch
from models.gate.answers import JudgedAnswers
from models.gate.class_scores import detail_scores
from models.gate.sources import JudgedSources
from models.production.registry import Registry
from models.shadows.evidence import RecordGain
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Answers, Predictor
from models.versions.writing import write_artifact
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.index import Snapshot
from store.snapshots.learned import Learned
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED
from tests.contract.cases import NOW

USE_CASE = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    gate=GateConfig(metric="accuracy", min_rows=50, resamples=500),
)


def rows(count: int, seed: int, *, edges: Sequence[float]) -> tuple[Columns, list[str]]:
    """Weights in 0..1, named by the first edge that they are under."""
    weights = np.random.default_rng(seed).uniform(0, 1, count)
    names = ("small", "medium", "large")
    return {"weight": weights}, [names[int(place)] for place in np.searchsorted(edges, weights)]


def predictor(folder: Path, name: str, edges: Sequence[float]) -> Predictor:
    return learned(folder, name, *rows(400, 1, edges=edges))


def learned(folder: Path, name: str, columns: Columns, labels: list[str]) -> Predictor:
    fitted = fit_challenger(
        USE_CASE, columns, labels, challenger=ChallengerConfig(name="full"), watch=SilentWatch()
    )
    write_artifact(folder / name, fitted, USE_CASE, columns, lineage=Lineage(), created_at=NOW)
    return Predictor.load(folder / name)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("good"), "good", [0.3, 0.7])


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Knows two of the three classes."""
    return predictor(tmp_path_factory.mktemp("old"), "old", [0.5])


def test_the_better_model_is_promoted_though_it_knows_a_class_more(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    judgement = judge_challengers(USE_CASE, columns, labels, {"full": good}, old)
    decision = judgement.decisions["full"]
    assert (decision.verdict, decision.outcome) == ("promote", "beats_production")
    assert judgement.production_scores is not None
    assert decision.challenger == judgement.scores["full"]["accuracy"]
    assert decision.challenger > judgement.production_scores["accuracy"] + 0.2


def test_the_worse_model_is_rejected_and_the_same_one_ties(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    judgement = judge_challengers(USE_CASE, columns, labels, {"worse": old, "same": good}, good)
    assert judgement.decisions["worse"].outcome == "worse"
    assert judgement.decisions["same"].outcome == "tie"
    assert judgement.decisions["same"].interval is not None
    assert judgement.decisions["same"].interval.level == pytest.approx(0.95)


def test_no_production_few_rows_and_no_rows_are_outcomes(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(20, 2, edges=[0.3, 0.7])
    first = judge_challengers(USE_CASE, columns, labels, {"full": good}, None)
    few = judge_challengers(USE_CASE, columns, labels, {"full": good}, old)
    empty = judge_challengers(USE_CASE, {"weight": np.empty(0)}, [], {"full": good}, old)
    assert first.decisions["full"].outcome == "first_model"
    assert few.decisions["full"].outcome == "too_few_rows"
    assert empty.decisions["full"].outcome == "too_few_rows"


def test_a_production_that_reads_a_field_of_an_earlier_configuration_loses_to_what_beats_the_majority(
    good: Predictor, old: Predictor
) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    earlier = Broken.__new__(Broken)
    fields = (*USE_CASE.record.fields, FieldConfig(name="colour", type="category"))
    record = RecordConfig(fields=fields)
    earlier.__dict__ = {**old.__dict__, "use_case": USE_CASE.model_copy(update={"record": record})}
    judgement = judge_challengers(USE_CASE, columns, labels, {"full": good}, earlier)
    assert judgement.decisions["full"].outcome == "beats_majority"
    assert "field 'colour'" in judgement.decisions["full"].reason


class Broken(Predictor):
    """A production that loads and does not answer."""

    def predict(self, columns: Columns) -> Answers:
        raise ModelError(f"no answer for {len(columns)} columns")


def test_a_production_that_does_not_answer_loses_to_what_beats_the_majority(
    good: Predictor, old: Predictor
) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    broken = Broken.__new__(Broken)
    broken.__dict__ = dict(old.__dict__)
    judgement = judge_challengers(USE_CASE, columns, labels, {"full": good}, broken)
    assert judgement.decisions["full"].outcome == "beats_majority"
    assert "no answer for 1 columns" in judgement.decisions["full"].reason
    missing = judge_challengers(
        USE_CASE, columns, labels, {"full": good}, None, production_error="file model.onnx was changed"
    )
    assert missing.decisions["full"].outcome == "beats_majority"


class Counted(Predictor):
    """A version that keeps how many rows it was asked about, call by call."""

    calls: list[int]

    @classmethod
    def of(cls, version: Predictor) -> Counted:
        counted = cls.__new__(cls)
        counted.__dict__ = {**version.__dict__, "calls": []}
        return counted

    def predict(self, columns: Columns) -> Answers:
        self.calls.append(len(columns["weight"]))
        return super().predict(columns)


def test_each_version_is_asked_once_about_the_held_out_rows_and_once_about_the_original_ones(
    good: Predictor, old: Predictor
) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    full, same, production = Counted.of(good), Counted.of(good), Counted.of(old)
    judge_challengers(
        USE_CASE, columns, labels, {"full": full, "same": same}, production,
        original=framed(*rows(200, 3, edges=[0.5])),
    )  # fmt: skip
    assert [one.calls for one in (full, same, production)] == [[300, 200]] * 3


@pytest.mark.parametrize("error", [None, "it is damaged"])
def test_what_is_logged_are_the_answers_that_were_judged(
    error: str | None,
    good: Predictor,
    old: Predictor,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    full, production = Counted.of(good), Counted.of(old)
    logged: list[Evidence] = []
    monkeypatch.setattr(
        outcome, "log_challenger", lambda _uri, _case, _snapshot, evidence, _tags: logged.append(evidence)
    )
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    context = LoopContext(settings, USE_CASE, database_url, Registry("memory:"))
    held = HeldRun("run", 1, "", lambda _progress: None)
    snapshot = Snapshot("digest", USE_CASE.name, tmp_path, 300, 0, 300, 1, 300, NOW)
    incumbent = replace(NO_PRODUCTION, predictor=production if error is None else None, error=error)
    trained = {"full": Trained("full", tmp_path, good.manifest, full, (), 1.0)}
    judgement = judge_all(context, held, incumbent, SplitRows.of(framed(columns, labels)), trained)
    outcome.log_all(context, held, snapshot, trained, judgement)
    assert (full.calls, production.calls) == ([300], [300] if error is None else [])
    alone = detail_scores(USE_CASE.target, labels, good.predict(columns))
    assert logged[0].detail.class_scores == alone.class_scores
    np.testing.assert_array_equal(logged[0].detail.confusion, alone.confusion)


def test_without_an_answer_of_production_a_model_of_random_labels_is_not_promoted(tmp_path: Path) -> None:
    columns, labels = rows(400, 1, edges=[0.3, 0.7])
    random = [str(label) for label in np.random.default_rng(5).permutation(labels)]
    challenger = learned(tmp_path, "random", columns, random)
    judged, truth = rows(300, 2, edges=[0.3, 0.7])
    for metric in ("accuracy", "f1_macro", "balanced_accuracy", "roc_auc", "log_loss"):
        use_case = USE_CASE.model_copy(update={"gate": USE_CASE.gate.model_copy(update={"metric": metric})})
        found = judge_challengers(
            use_case, judged, [str(one) for one in np.random.default_rng(6).permutation(truth)],
            {"full": challenger}, None, production_error="it is damaged", training_labels=lambda: random,
        )  # fmt: skip
        decision = found.decisions["full"]
        assert decision.outcome in ("below_majority", "majority_not_proven"), metric
        assert decision.majority is not None


def test_production_that_is_gone_holds_the_best_challenger_back(good: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    found = judge_challengers(USE_CASE, columns, labels, {"full": good}, None, production_gone="deleted")
    decision = found.decisions["full"]
    assert (decision.verdict, decision.outcome, decision.reason) == (
        "hold_back", "production_gone", "deleted",
    )  # fmt: skip
    assert decision.challenger == found.scores["full"]["accuracy"]


def test_rows_that_say_nothing_of_a_class_of_production_hold_the_best_challenger_back(
    good: Predictor, old: Predictor
) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    found = judge_challengers(USE_CASE, columns, labels, {"full": good}, old, labels_left_out="left out")
    decision = found.decisions["full"]
    assert (decision.verdict, decision.outcome, decision.reason) == (
        "hold_back", "labels_left_out", "left out",
    )  # fmt: skip


def framed(columns: Columns, labels: Sequence[str]) -> Frame:
    count = len(labels)
    return Frame(
        columns,
        np.array(labels, dtype=object),
        np.array([f"row-{number}" for number in range(count)], dtype=object),
        np.arange(count),
        np.zeros(count, dtype="datetime64[us]"),
        np.array([HOLDOUT] * count, dtype=object),
    )


def test_one_that_gains_on_new_rows_and_loses_on_the_original_ones_is_rejected(
    good: Predictor, old: Predictor
) -> None:
    new, labels = rows(300, 2, edges=[0.3, 0.7])
    was, labels_then = rows(200, 3, edges=[0.5])
    judgement = judge_challengers(
        USE_CASE, new, labels, {"full": good}, old, original=framed(was, labels_then)
    )
    decision = judgement.decisions["full"]
    assert (decision.verdict, decision.outcome) == ("reject", "forgets")
    assert decision.original is not None
    assert (decision.original.verdict, decision.original.rows) == ("forgotten", 200)
    assert judgement.original_scores["full"]["accuracy"] == decision.original.challenger
    assert judgement.original_scores["production"]["accuracy"] == decision.original.production
    kept = judge_challengers(
        USE_CASE, new, labels, {"full": good}, old, original=framed(*rows(200, 3, edges=[0.3, 0.7]))
    )
    assert kept.decisions["full"].outcome == "beats_production"


def test_a_fall_that_four_rows_tell_of_is_not_proven() -> None:
    def right(where: NDArray[np.bool_]) -> Answers:
        yes = np.where(where, 0.8, 0.2)
        return Answers(("no", "yes"), np.stack([1 - yes, yes], axis=1).astype(np.float32))

    def asked(challenger: NDArray[np.bool_], production: NDArray[np.bool_]) -> JudgedAnswers:
        labels, classes = ["yes"] * 300, ("no", "yes")
        return JudgedAnswers(labels, {"full": right(challenger)}, right(production), None, classes, "yes")

    rows = np.arange(300)
    gate = TURNED.gate.model_copy(update={"forgetting_margin": 0.0})
    use_case = TURNED.model_copy(update={"gate": gate})
    for lost, verdict in ((4, "unproven"), (6, "forgotten")):
        found = judge_answers(
            use_case, asked(rows < 290, rows < 100), original=asked(rows >= lost, rows >= 0)
        ).decisions["full"]
        assert found.original is not None
        assert found.original.verdict == verdict


def test_without_original_rows_or_production_nothing_is_compared(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    none_left = judge_challengers(
        USE_CASE, columns, labels, {"full": good}, old, original=framed({"weight": np.empty(0)}, [])
    )
    first = judge_challengers(
        USE_CASE, columns, labels, {"full": good}, None, original=framed(columns, labels)
    )
    for judgement in (none_left, first):
        assert judgement.decisions["full"].verdict == "promote"
        assert judgement.decisions["full"].original is None
        assert judgement.original_scores == {}


def test_original_rows_are_those_that_nobody_has_learned_from_since() -> None:
    frame = framed({"weight": np.arange(6.0)}, ["small"] * 6)
    frame.split[:] = [HOLDOUT, UNUSED, TRAIN, HOLDOUT, HOLDOUT, UNUSED]
    held_out = frozenset({"row-0", "row-1", "row-2", "row-3"})
    production = Production(None, None, None, None, Learned(frozenset({"row-3"})), None, None, held_out)
    found = original_rows(SplitRows.of(frame).beside, production)
    assert found.identities.tolist() == ["row-0", "row-1"]
    assert found.columns["weight"].tolist() == [0.0, 1.0]


TOPICS = UseCase(
    name="topics",
    title="Topics",
    kind="text",
    record=RecordConfig(fields=(FieldConfig(name="text", type="text"),)),
    target=TargetConfig(task="multilabel", min_label_rows=2),
    model=ModelConfig(estimator="linear_text", params={"epochs": 5}),
    gate=GateConfig(metric="f1_micro", min_rows=20, resamples=300),
)


def topics(words: Sequence[str], count: int, seed: int) -> tuple[Columns, list[str]]:
    """Texts of one or two words that are also their labels."""
    random = np.random.default_rng(seed)
    chosen = [random.choice(words, 1 + row % 2, replace=False).tolist() for row in range(count)]
    texts = np.array([" ".join(["so", *one]) for one in chosen], dtype=object)
    return {"text": texts}, ["|".join(sorted(one)) for one in chosen]


def test_many_labels_a_row_are_judged_with_the_thresholds_of_each_version(tmp_path: Path) -> None:
    made = {}
    for name, words in {"full": ("tea", "rice", "soup"), "old": ("tea", "rice")}.items():
        columns, labels = topics(words, 120, 1)
        fitted = fit_challenger(
            TOPICS, columns, labels, challenger=ChallengerConfig(name="full"), watch=SilentWatch()
        )
        write_artifact(tmp_path / name, fitted, TOPICS, columns, lineage=Lineage(), created_at=NOW)
        made[name] = Predictor.load(tmp_path / name)
    columns, labels = topics(("tea", "rice", "soup"), 90, 2)
    labels[0] += "|never seen"
    judgement = judge_challengers(
        TOPICS, columns, labels, {"full": made["full"]}, made["old"], original=framed(columns, labels)
    )
    decision = judgement.decisions["full"]
    assert (decision.verdict, decision.outcome) == ("promote", "beats_production")
    assert judgement.scores["full"]["f1_micro"] == pytest.approx(1.0, abs=0.05)
    assert judgement.production_scores is not None
    assert judgement.production_scores["f1_micro"] < 0.9
    detail = detail_scores(TOPICS.target, labels, made["full"].predict(columns))
    assert detail.confusion is None
    assert set(detail.class_scores) == {"tea", "rice", "soup"}


TURNED = UseCase(
    name="turned",
    title="A world that has turned",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
    target=TargetConfig(task="binary", classes=("no", "yes"), positive="yes"),
    model=ModelConfig(estimator="logistic"),
    gate=GateConfig(min_rows=50, resamples=300),
)
SURE = RecordGain(rows=800, periods=3, gain=0.2, error=0.01, lower=0.18, lost=0.6, line=0.008, age=9)


def of_both_worlds() -> JudgedAnswers:
    """400 rows of the world of before, where production is right, then 60 where the challenger is."""
    labels = ["yes", "no"] * 230
    yes = np.array([label == "yes" for label in labels])
    is_new = np.arange(460) >= 400

    def right(where: NDArray[np.bool_]) -> Answers:
        chance = np.where(yes == where, 0.8, 0.2)
        return Answers(("no", "yes"), np.stack([1 - chance, chance], axis=1).astype(np.float32))

    return JudgedAnswers(labels, {"blend": right(is_new)}, right(~is_new), None, ("no", "yes"), "yes")


def test_rows_held_out_before_the_world_turned_do_not_speak_against_a_record() -> None:
    asked = of_both_worlds()
    by_all = judge_answers(TURNED, asked, records={"blend": SURE}).decisions["blend"]
    assert by_all.outcome == "worse"
    by_newest = judge_answers(TURNED, asked, records={"blend": SURE}, newest=60).decisions["blend"]
    assert by_newest.outcome == "record_beats_production"
    assert "itself accuracy 1.0000 against 0.0000 on 60 rows" in by_newest.reason
    assert judge_answers(TURNED, asked, newest=60).decisions["blend"].outcome == "worse"


def test_nor_do_those_of_other_sources_from_then() -> None:
    asked = of_both_worlds()
    sources = JudgedSources([*["desk"] * 400, *["shop", "desk"] * 30])
    judged = judge_answers(TURNED, asked, records={"blend": SURE}, newest=60, sources=sources)
    assert judged.decisions["blend"].outcome == "record_beats_production"


def right_on(labels: Sequence[str], right: NDArray[np.bool_]) -> Answers:
    """Sure answers, right where it is said."""
    is_yes = (np.array(labels) == "yes") == right
    return Answers(("no", "yes"), np.stack([~is_yes, is_yes], axis=1).astype(np.float32))


def test_what_is_left_without_a_source_is_weighed_as_all_of_it_was() -> None:
    labels = ["yes", "no"] * 150
    # Of the shop's 200 rows the challenger wins many that count little, and loses some that count much.
    wins = np.repeat([True, False, True], [120, 80, 100])
    answers = JudgedAnswers(
        labels, {"full": right_on(labels, wins)}, right_on(labels, ~wins), None, ("no", "yes"), "yes"
    )
    sources = JudgedSources(["shop"] * 200 + ["mallory"] * 100)
    weights = np.repeat([0.2, 1.0, 2.0], [120, 80, 100])
    alike = judge_answers(TURNED, answers, sources=sources).decisions["full"]
    assert alike.verdict == "promote"
    weighed = judge_answers(TURNED, answers, sources=sources, row_weights=weights).decisions["full"]
    assert (weighed.verdict, weighed.outcome) == ("hold_back", "one_source")
    assert "without the 100 rows of source 'mallory' accuracy 0.2308 against 0.7692" in weighed.reason


def test_a_guess_is_weighed_as_what_it_is_compared_with() -> None:
    labels = ["yes", "no"] * 200
    right = np.repeat([True, False], [300, 100])
    answers = JudgedAnswers(
        labels, {"full": right_on(labels, right)}, None, "it fails on a row", ("no", "yes"), "yes"
    )
    weights = np.where(right, 0.1, 3.0)
    assert judge_answers(TURNED, answers, training_labels=lambda: labels).decisions["full"].outcome == (
        "beats_majority"
    )
    weighed = judge_answers(TURNED, answers, training_labels=lambda: labels, row_weights=weights)
    decision = weighed.decisions["full"]
    assert decision.outcome == "below_majority"
    assert decision.challenger == pytest.approx(30 / 330)
