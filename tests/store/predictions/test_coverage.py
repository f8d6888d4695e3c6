"""An accuracy of few labelled answers is told with how few they are, and what it can say of the others."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.predictions.coverage import Coverage, count_answers
from tests.store.predictions.test_labelled_answers import EVER, NAME, START, store, stream


def test_labels_for_wrong_answers_alone_are_told_as_that() -> None:
    coverage = Coverage(answers=200, labelled=15, correct=0)
    told = coverage.as_dict()
    assert (told["share"], told["least"], told["most"]) == (0.075, 0.0, 0.925)
    assert coverage.warning is not None
    assert coverage.warning.startswith("15 of 200 answers are labelled (7.5%)")
    assert "between 0.0% and 92.5% are right" in coverage.warning
    assert "labels seem to come for wrong answers only" in coverage.warning


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        (Coverage(200, 15, 12), "15 of 200"),
        (Coverage(200, 4, 0), "4 of 200"),
        (Coverage(200, 200, 0), None),
        (Coverage(200, 120, 0), None),
        (Coverage(0, 0, 0), None),
        (Coverage(50, 0, 0), None),
    ],
)
def test_only_where_most_carry_no_label_is_there_a_warning(coverage: Coverage, words: str | None) -> None:
    assert (coverage.warning is None) == (words is None)
    if words is not None:
        assert words in str(coverage.warning)
        assert "wrong answers only" not in str(coverage.warning)


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_the_truth_is_within_the_bounds_whatever_was_chosen(
    answers: int, labelled: int, correct: int, hidden: int
) -> None:
    labelled = min(labelled, answers)
    correct, hidden = min(correct, labelled), min(hidden, answers - labelled)
    bounds = Coverage(answers, labelled, correct).bounds
    assert bounds is not None
    assert bounds[0] <= (correct + hidden) / answers <= bounds[1]


def test_answers_are_counted_since_a_time_and_without_a_version(conn: psycopg.Connection) -> None:
    store(conn, [*stream(6, version=1), *stream(4, version=2, start=10)])
    assert count_answers(conn, NAME, since=EVER) == 10
    assert count_answers(conn, NAME, since=START + timedelta(minutes=10)) == 4
    assert count_answers(conn, NAME, since=EVER, except_by=[1]) == 4
    assert count_answers(conn, "pears", since=EVER) == 0
