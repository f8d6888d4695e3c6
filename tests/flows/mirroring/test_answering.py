"""Records as they were logged, answered by a version: one that fails does not fail the others."""

from __future__ import annotations

import pytest

from flows.mirroring.answering import answer_records
from models.versions.predictor import Predictor
from tests.flows.mirroring.conftest import MARKED, Garden

pytestmark = pytest.mark.timeout(600)
GOOD = '{"weight": 0.9, "colour": "red"}'
POOR = '{"weight": 0.1, "colour": "green"}'
MARK = f'{{"weight": {MARKED}, "colour": "red"}}'


def test_each_record_has_its_answer(garden: Garden) -> None:
    garden.add_version("breaks")
    whole = Predictor.load(garden.orchard.kept(1))
    answers = answer_records(whole, [GOOD, POOR, '{"weight": "heavy", "colour": "red"}', GOOD])
    assert [one.label for one in answers] == ["good", "poor", None, "good"]
    assert [one.error is None for one in answers] == [True, True, False, True]
    assert answers[2].error is not None
    assert answers[2].error.startswith("record: field 'weight': got 'heavy'")
    assert all(one.ms is not None and one.ms > 0 for one in answers if one.error is None)
    assert answer_records(whole, []) == []

    breaking = Predictor.load(garden.orchard.kept(2))
    assert breaking.check_probe() < 1e-6
    answers = answer_records(breaking, [GOOD, MARK, POOR])
    assert [one.label for one in answers] == ["good", None, "poor"]
    assert answers[1].error is not None
    assert "Reshape" in answers[1].error
    assert len(answers[1].error) <= 200
