"""What is said of records: by a version, by a chain, and by a chain whose version broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from features.records.contract import Columns
from models.chain.chain import Chain, Link
from models.errors import NoProbabilities
from service.answers.pipeline import run_alone
from service.answers.responders import ChainResponder, LinkedChain, Source
from tests.service.responders import responder_of

MODEL = responder_of(("cold", "warm"))


class Fixed:
    """A link that says the same of every record."""

    def __init__(self, label: str | None, score: float) -> None:
        self._said = label, score

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        label, score = self._said
        return [label] * len(columns["x"]), [score] * len(columns["x"])


def columns(*rows: Sequence[float]) -> Any:
    return {"x": np.array(rows, dtype=np.float32)}


def chain_responder(*others: Link, head: bool = True) -> ChainResponder:
    """The version at the head, trusted from 0.7; then the others."""
    served = Link("trained", 0.7, None)
    links = (served, *others) if head else (*others, served)
    chain = Chain(links, "unknown")
    versions = {"trained": 3} | {link.name: None for link in others}
    return ChainResponder(LinkedChain(chain, chain, head, versions), MODEL, 3)


def test_an_answer_that_is_no_number_is_not_given() -> None:
    with pytest.raises(NoProbabilities):
        MODEL.respond(columns([np.nan, 1.0]), run_alone)


def test_without_a_chain_an_error_stays_an_error() -> None:
    with pytest.raises(RuntimeError, match="broke"):
        MODEL.respond_without_model(columns([0.5, 0.5]), RuntimeError("broke"))


def test_each_record_goes_down_the_chain_until_a_link_is_sure() -> None:
    words = Link("keywords", 0.5, Fixed("hot", 0.6))
    answers = chain_responder(words).respond(columns([0.9, 0.1], [0.4, 0.6]), run_alone)
    assert answers.labels == [b'"cold"', b'"hot"']
    assert answers.label_scores == [b"0.9", b"0.6"]
    assert answers.sources == [Source("trained", 3), Source("keywords", None)]
    assert [orjson.loads(one) for one in answers.scores] == [
        {"cold": 0.9, "warm": 0.1},
        {"cold": 0.4, "warm": 0.6},
    ]


def test_where_no_link_is_sure_the_record_is_out_of_scope_for_the_served_version() -> None:
    answers = chain_responder(Link("keywords", 0.5, Fixed(None, 0.0))).respond(columns([0.4, 0.6]), run_alone)
    assert (answers.labels, answers.sources) == ([b'"unknown"'], [Source("none", 3)])
    assert answers.label_scores == [b"0.6"]


def test_links_before_the_served_version_are_asked_before_it() -> None:
    words = Link("keywords", 0.5, Fixed("hot", 0.6))
    answers = chain_responder(words, head=False).respond(columns([0.9, 0.1]), run_alone)
    assert (answers.labels, answers.sources) == ([b'"hot"'], [Source("keywords", None)])


def test_the_others_answer_for_a_version_that_broke_and_no_scores_are_made_up() -> None:
    responder = chain_responder(Link("keywords", 0.5, Fixed("hot", 0.6)))
    answers = responder.respond_without_model(columns([0.9, 0.1]), RuntimeError("broke"))
    assert (answers.labels, answers.scores, answers.logged_scores) == ([b'"hot"'], [b"{}"], [b"{}"])
