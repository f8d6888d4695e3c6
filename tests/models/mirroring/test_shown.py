"""What is told of a shadow version: in words, and as the document that HTTP describes."""

from __future__ import annotations

from typing import Any, get_args

import jsonschema
import psycopg
import pytest

from configs.schema import ShadowAlias, UseCase
from models.mirroring.shown import shadow_facts
from models.production.contract import Alias
from service.openapi.shadow import SHADOW
from store.predictions.shadow_answers import (
    GIVEN_UP,
    ShadowAnswer,
    State,
    keep_answers,
    read_waiting,
    write_costs,
    write_standing,
)
from tests.store.predictions.test_shadow_answers import START, log

RAW: dict[str, Any] = {
    "name": "u",
    "title": "U",
    "kind": "tabular",
    "record": {"fields": [{"name": "x", "type": "number"}]},
    "target": {"task": "multiclass", "column": "y", "classes": ["a", "b"]},
    "model": {"estimator": "logistic"},
    "serving": {"shadow": "challenger"},
}
ASKED = UseCase.model_validate(RAW)


def told(conn: psycopg.Connection, use_case: UseCase = ASKED) -> dict[str, Any]:
    facts = shadow_facts(conn, use_case)
    assert facts is not None
    jsonschema.Draft202012Validator(SHADOW).validate(facts)
    return facts


def test_every_alias_of_the_configuration_is_one_of_the_registry() -> None:
    fixed, _ = get_args(Alias)  # the others are of links
    assert set(get_args(ShadowAlias)) <= set(get_args(fixed)) - {"production"}


def test_without_a_shadow_nothing_is_told(conn: psycopg.Connection) -> None:
    write_standing(conn, "u", "challenger", 2, "answers")
    assert (
        shadow_facts(
            conn, ASKED.model_copy(update={"serving": UseCase.model_validate(RAW | {"serving": {}}).serving})
        )
        is None
    )


def test_before_the_worker_has_looked_it_is_said(conn: psycopg.Connection) -> None:
    facts = told(conn)
    assert (facts["state"], facts["version"], facts["answered"]) == ("starting", None, None)
    assert facts["sentence"] == "nobody has taken up shadow 'challenger' yet: the worker does"
    write_standing(conn, "u", "previous", 2, "answers")
    assert told(conn)["version"] is None, "what another alias named says nothing of this one"


@pytest.mark.parametrize("state", get_args(State))
def test_each_state_has_its_words(conn: psycopg.Connection, state: State) -> None:
    write_standing(conn, "u", "challenger", None if state == "missing" else 2, state, "it took over 30 s")
    facts = told(conn)
    assert facts["state"] == state
    assert facts["given_up"] == (state in GIVEN_UP)
    assert ("`ratchet shadow u --again`" in facts["sentence"]) == (state in GIVEN_UP)
    assert ("it took over 30 s" in facts["sentence"]) == (state in GIVEN_UP)


def test_figures_and_labels_are_told(conn: psycopg.Connection) -> None:
    write_standing(conn, "u", "challenger", 2, "starting")
    conn.execute("UPDATE shadow_standing SET since = %s", (START,))
    write_costs(conn, "u", 2, 0.2, 1, 0.1)
    log(conn, [str(number) for number in range(200)])
    rows = read_waiting(conn, "u", 2, START, 200)
    said = [ShadowAnswer("b" if number < 20 else "a", 0.9, 0.25) for number in range(199)]
    keep_answers(conn, "u", 2, rows, [*said, ShadowAnswer(None, None, None, "ValueError: no")])
    for row in rows[:150]:
        conn.execute(
            "INSERT INTO feedback (use_case, identity, record, label, prediction_id)"
            """ VALUES ('u', %s, '{"x": 1}', 'b', %s)""",
            (f"p:{row.id}", row.id),
        )
    facts = told(conn)
    assert facts["sentence"].startswith(
        "version 2 (challenger) is asked beside what serves; asked about 200 live records, answered "
        "10.1% otherwise (most often b where a was served), could not answer 1"
    )
    assert (facts["share_differing"], facts["alone_ms"], facts["production_ms"]) == (0.1005, 0.2, 0.1)
    assert facts["failures"] == [{"kind": "ValueError", "count": 1, "example": "ValueError: no"}]
    assert facts["scores"]["moved"]
