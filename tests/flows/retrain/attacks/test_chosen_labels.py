"""Labels of chosen answers, over HTTP and in files: what is promoted holds for all answers, or nothing is."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.retrain.production import find_production
from models.versions.predictor import Predictor
from service.answers.responses import DRAW_BYTES, PredictionIds
from store.database.connection import connect
from store.feedback.insertion import HTTP_SOURCE, add_feedback, label_predictions
from store.ingest.files import ingest_file
from store.predictions.audits import is_audited
from tests.flows.retrain.turns import Orchard, Turn

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)
ANSWERS = 4000
NOISE = 0.17
"""Share of apples that nobody could grade right: scores know nothing of which they are."""
Mask = NDArray[np.bool_]

BY_SLOW_FILE = pytest.mark.parametrize("by", ["http", pytest.param("file", marks=pytest.mark.slow)])


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which is right as often as can be."""
    made = empty_orchard
    weights, colours, grades = grow(400, seed=1)
    ingest(made, weights, colours, grades)
    assert made.retrain().outcome == "promoted"
    return made


class Answered:
    """Apples that production has graded, beside what they are."""

    def __init__(self, orchard: Orchard, *, seed: int, edge: float = 0.5, audit: float = 0.05) -> None:
        self.orchard = orchard
        self.weights, self.colours, self.truth = grow(ANSWERS, seed=seed, edge=edge)
        answers = production(orchard).predict({"weight": self.weights, "colour": self.colours})
        self.labels = np.array(answers.labels, dtype=object)
        self.wrong: Mask = self.labels != self.truth
        self.lucky: Mask = np.random.default_rng([seed, 9]).random(ANSWERS) < 0.05
        self.ids = PredictionIds().take(ANSWERS, time.time_ns(), round(audit * 2 ** (8 * DRAW_BYTES)))
        self.audited: Mask = np.array([is_audited(one) for one in self.ids])
        self._log(list(answers.scores))

    @property
    def documents(self) -> list[str]:
        return [
            f'{{"weight":{weight!r},"colour":"{colour}"}}'
            for weight, colour in zip(self.weights.tolist(), self.colours, strict=True)
        ]

    def label(self, chosen: Mask, *, by: str) -> None:
        """Send the true labels of some answers."""
        places = np.flatnonzero(chosen)
        if by == "file":
            ingest(self.orchard, self.weights[places], self.colours[places], self.truth[places])
            return
        documents = self.documents
        batch = label_predictions(
            [self.ids[place] for place in places],
            None,
            [documents[place] for place in places],
            self.truth[places].tolist(),
            HTTP_SOURCE,
        )
        with connect(self.orchard.context.database_url) as conn:
            add_feedback(conn, self.orchard.name, batch)

    def _log(self, scores: list[float]) -> None:
        rows = zip(self.ids, self.documents, self.labels, scores, strict=True)
        with connect(self.orchard.context.database_url) as conn, conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO prediction (id, use_case, record, label, score, model_version, source)"
                " VALUES (%s, %s, %s, %s, %s, 1, 'model')",
                [(one, self.orchard.name, record, label, score) for one, record, label, score in rows],
            )
            conn.commit()


def grow(
    count: int, *, seed: int, edge: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.object_]]:
    """Apples that are good above a weight, but for the noise."""
    random = np.random.default_rng(seed)
    weights = random.uniform(0, 1, count).round(9)
    colours = random.choice(["red", "green"], count).astype(object)
    is_good = (weights > edge) ^ (random.random(count) < NOISE)
    return weights, colours, np.where(is_good, "good", "poor").astype(object)


def ingest(
    orchard: Orchard, weights: NDArray[np.float64], colours: NDArray[np.object_], grades: NDArray[np.object_]
) -> None:
    path = orchard.context.settings.home / f"apples-{next(NUMBERS)}.csv"
    rows = zip(weights.tolist(), colours, grades, strict=True)
    lines = ["weight,colour,grade", *(f"{weight!r},{colour},{grade}" for weight, colour, grade in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with orchard.context.connect() as conn:
        ingest_file(conn, orchard.context.use_case, path)


def production(orchard: Orchard) -> Predictor:
    predictor = find_production(orchard.context).predictor
    assert predictor is not None
    return predictor


def accuracy(orchard: Orchard, *, edge: float = 0.5) -> float:
    """Of production, on apples that nobody has seen."""
    weights, colours, grades = grow(4000, seed=77, edge=edge)
    answers = production(orchard).predict({"weight": weights, "colour": colours})
    return float((np.array(answers.labels, dtype=object) == grades).mean())


def assert_held_back(turn: Turn) -> None:
    decision = turn.decision
    assert (turn.outcome, decision.outcome) == ("too_little_evidence", "labels_selected")
    assert decision.reason.startswith("labels may be selected: ")
    assert "ratchet audits " in decision.reason
    assert decision.selection is not None
    assert decision.as_dict()["selection"]["fall"]["shown"]


@BY_SLOW_FILE
def test_labels_of_wrong_answers_and_few_right_ones_promote_nothing(orchard: Orchard, by: str) -> None:
    """Without the check: promoted, and right 0.17 of the time rather than 0.83."""
    before = accuracy(orchard)
    answered = Answered(orchard, seed=2)
    answered.label(answered.wrong | answered.lucky, by=by)
    turn = orchard.retrain()
    assert_held_back(turn)
    assert accuracy(orchard) == before > 0.8


@BY_SLOW_FILE
def test_with_labels_of_audited_answers_these_decide(orchard: Orchard, by: str) -> None:
    """The challenger of chosen labels is worse on them, and is rejected for it."""
    before = accuracy(orchard)
    answered = Answered(orchard, seed=3)
    answered.label(answered.audited, by="http")
    answered.label((answered.wrong | answered.lucky) & ~answered.audited, by=by)
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("rejected", "worse")
    assert "are labels of audited answers" in turn.decision.reason
    assert turn.decision.rows < 300
    assert accuracy(orchard) == before > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("by", ["http", "file"])
def test_a_world_that_turned_is_learned_by_whatever_labels_once_the_audited_ones_are_there(
    orchard: Orchard, by: str
) -> None:
    """Nothing right is lost: of a fifth of all answers labels come by chance, and of the audited ones all."""
    before = accuracy(orchard, edge=0.1)
    answered = Answered(orchard, seed=4, edge=0.1)
    by_chance = np.random.default_rng(8).random(ANSWERS) < 0.2
    answered.label(by_chance, by=by)
    turn = orchard.retrain()
    assert_held_back(turn)
    answered.label(answered.audited, by="http")
    turn = orchard.retrain()
    assert turn.outcome == "promoted"
    assert accuracy(orchard, edge=0.1) > before + 0.2


@pytest.mark.slow
def test_labels_that_came_by_chance_are_judged_on_as_ever(orchard: Orchard) -> None:
    answered = Answered(orchard, seed=5)
    answered.label(np.random.default_rng(8).random(ANSWERS) < 0.2, by="http")
    decision = orchard.retrain().decision
    assert decision.outcome != "labels_selected"
    assert decision.selection is not None
    assert decision.selection.warning is None
    assert decision.rows > 100


def declared(orchard: Orchard) -> Orchard:
    """The same with labels that are said to be chosen by answer and score alone."""
    use_case = orchard.context.use_case
    gate = use_case.gate.model_copy(update={"labels_chosen_by": "answer"})
    changed = use_case.model_copy(update={"gate": gate})
    return replace(orchard, context=replace(orchard.context, use_case=changed))


@pytest.mark.slow
def test_labels_that_are_chosen_by_answer_are_weighed_where_that_is_declared(orchard: Orchard) -> None:
    """Of what was found good most are looked at, of what was found poor few."""
    answered = Answered(orchard, seed=7, audit=0.0)
    share = np.where(answered.labels == "good", 0.4, 0.05)
    answered.label(np.random.default_rng(8).random(ANSWERS) < share, by="http")
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("too_little_evidence", "labels_selected")
    decision = declared(orchard).retrain().decision
    assert decision.outcome != "labels_selected"
    assert "are weighed to stand for all, and are worth" in decision.reason
    assert decision.production == pytest.approx(1 - NOISE, abs=0.1)


@pytest.mark.slow
def test_labels_that_are_chosen_by_right_and_wrong_are_not_repaired_by_weights(orchard: Orchard) -> None:
    before = accuracy(orchard)
    answered = Answered(orchard, seed=2, audit=0.0)
    answered.label(answered.wrong | answered.lucky, by="http")
    turn = declared(orchard).retrain()
    assert_held_back(turn)
    assert "they are chosen by right and wrong" in turn.decision.reason
    assert accuracy(orchard) == before


@pytest.mark.slow
def test_rows_of_files_that_label_no_answer_are_judged_on_beside_chosen_labels(orchard: Orchard) -> None:
    """Unless they came over HTTP, where whoever chooses labels may send what it likes."""
    answered = Answered(orchard, seed=6, audit=0.0)
    answered.label(answered.wrong | answered.lucky, by="http")
    weights, colours, grades = grow(1000, seed=66)
    ingest(orchard, weights, colours, grades)
    turn = orchard.retrain()
    assert "came in files and label no answer" in turn.decision.reason
    assert turn.outcome != "promoted" or accuracy(orchard) > 0.8
    with connect(orchard.context.database_url) as conn:
        conn.execute("UPDATE feedback SET source = %s WHERE use_case = %s", (HTTP_SOURCE, orchard.name))
        conn.commit()
    assert_held_back(orchard.retrain())
