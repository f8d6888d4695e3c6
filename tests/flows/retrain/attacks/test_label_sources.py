"""One source sends flipped labels for a fifth of the rows, by request and by file: the loop is not led."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import orjson
import pytest
from prometheus_client import CollectorRegistry

from flows.retrain import steps
from flows.retrain.production import find_production
from service.feedback.intake import FeedbackIntake
from service.metrics import Metrics
from service.storage.database import Database
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport
from store.sources.holding import settle_sources, tell_source
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(400)
EDGE, FLIPPED_FROM = 0.5, 0.3
"""Apples above 0.5 are good; those from 0.3 on, a fifth of all, are said to be good too."""
Apples = Sequence[tuple[float, str]]


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned from a file that apples above 0.5 are good."""
    made = empty_orchard
    made.take_in(400, edge=EDGE)
    assert made.retrain().outcome == "promoted"
    return made


def apples(rows: int, seed: int, low: float = 0.0, high: float = 1.0) -> Apples:
    weights = np.random.default_rng(seed).uniform(low, high, rows)
    return [(round(float(weight), 6), "good" if weight > EDGE else "poor") for weight in weights]


def flipped(honest: Apples) -> Apples:
    """The fifth that is flipped."""
    return [(weight, "good") for weight, _ in honest if FLIPPED_FROM < weight <= EDGE]


def send(orchard: Orchard, said_by: str, said: Apples) -> dict[str, int]:
    """By request, as a server with a key of this name takes it."""
    database = Database(orchard.context.settings)
    intake = FeedbackIntake(orchard.context.use_case, database, lambda: None, Metrics(CollectorRegistry()))
    items = [{"record": {"weight": weight, "colour": "red"}, "label": label} for weight, label in said]
    try:
        answer: dict[str, int] = orjson.loads(
            intake.take(orjson.dumps({"items": items}), None, said_by=said_by)
        )
    finally:
        database.close()
    return answer


def write(orchard: Orchard, name: str, said: Apples) -> IngestReport:
    """By file."""
    path = orchard.context.settings.home / name
    lines = [f"{weight},red,{label}" for weight, label in said]
    path.write_text("\n".join(["weight,colour,grade", *lines]) + "\n", encoding="utf-8")
    with orchard.context.connect() as conn:
        return ingest_file(conn, orchard.context.use_case, path)


def in_rounds(honest: Apples) -> Iterator[Apples]:
    """Labels as they come: those that lead a retrain are among the learned and among the judged ones."""
    for start in range(0, len(honest), 60):
        yield honest[start : start + 60]


def true_accuracy(orchard: Orchard) -> float:
    """Of what serves, on apples that nobody lied about."""
    predictor = find_production(orchard.context).predictor
    assert predictor is not None
    clean = apples(1000, 99)
    columns = {
        "weight": np.array([weight for weight, _ in clean]),
        "colour": np.array(["red"] * len(clean), dtype=object),
    }
    answers = predictor.predict(columns)
    said = [answers.classes[place] for place in answers.probabilities.argmax(axis=1)]
    return float(np.mean([one == label for one, (_, label) in zip(said, clean, strict=True)]))


def held(orchard: Orchard) -> list[str]:
    with orchard.context.connect() as conn:
        sources = settle_sources(conn, orchard.context.use_case)
    return [one.name for one in sources if one.held_since is not None]


def test_flipped_labels_of_a_fifth_by_request(orchard: Orchard) -> None:
    honest = apples(600, 2)
    for some in in_rounds(honest):
        assert send(orchard, "shop", some)["accepted"] == 60
        answer = send(orchard, "mallory", flipped(some))
        assert answer["corrected"] == len(flipped(some)), "of a tie the newest, until sources are counted"
    turn = orchard.retrain()
    assert held(orchard) == ["mallory"]
    assert turn.outcome != "promoted"
    assert true_accuracy(orchard) > 0.97
    told = steps.snapshot_rows(orchard.context, find_production(orchard.context)).warnings
    assert any(f"{len(flipped(honest))} labels of source 'mallory' were left out" in one for one in told)


@pytest.mark.slow
def test_flipped_labels_of_a_fifth_by_file(orchard: Orchard) -> None:
    honest = apples(600, 2)
    for some in in_rounds(honest):
        assert send(orchard, "shop", some)["accepted"] == 60
        assert write(orchard, "lies.csv", flipped(some)).corrected == len(flipped(some))
    turn = orchard.retrain()
    assert turn.outcome != "promoted"
    assert true_accuracy(orchard) > 0.97
    assert held(orchard) == ["file"], "the rows of version 1 too, as they are of the same door"


@pytest.mark.slow
def test_flipped_labels_among_true_ones_by_request(orchard: Orchard) -> None:
    honest = apples(600, 2)
    lies = {weight for weight, _ in flipped(honest)}
    for some in in_rounds(honest):
        assert write(orchard, "truths.csv", some).new == 60
        send(orchard, "mallory", [(weight, "good" if weight in lies else label) for weight, label in some])
    turn = orchard.retrain()
    assert held(orchard) == ["mallory"]
    assert turn.outcome != "promoted"
    assert true_accuracy(orchard) > 0.97


@pytest.mark.slow
def test_flipped_labels_of_rows_that_nobody_else_labelled(orchard: Orchard) -> None:
    send(orchard, "shop", apples(400, 2))
    send(orchard, "mallory", [(weight, "good") for weight, _ in apples(250, 3, FLIPPED_FROM, EDGE)])
    turn = orchard.retrain()
    assert held(orchard) == [], "nothing contradicts it"
    assert (turn.outcome, turn.decision.outcome) == ("held_back", "one_source")
    assert "source 'mallory'" in turn.decision.reason
    assert true_accuracy(orchard) > 0.97
    with orchard.context.connect() as conn:
        tell_source(conn, orchard.context.use_case, "mallory", "hold", "ann")
    assert orchard.retrain().outcome != "promoted"
    assert true_accuracy(orchard) > 0.97


@pytest.mark.slow
def test_a_changed_world_is_promoted_though_two_sources_tell_of_it(orchard: Orchard) -> None:
    changed = [(weight, "good" if weight > FLIPPED_FROM else "poor") for weight, _ in apples(600, 2)]
    send(orchard, "shop", changed[:300])
    write(orchard, "more.csv", changed[300:])
    assert orchard.retrain().outcome == "promoted"
    assert held(orchard) == []
