"""The fallback chain: a predictor made of predictors.

Each record is asked of one link after the other until an answer reaches that link's confidence. A link
that is missing, or fails, is passed over. The source says which link answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from configs.schema import ChainLink, UseCase
from configs.spelling.letters import spelled_like
from configs.taxonomy import read_taxonomy
from features.encoders.contract import row_count
from features.records.contract import Columns, take
from models.chain.keyword_classifier import KeywordClassifier
from models.versions.predictor import Answers, Predictor

OUT_OF_SCOPE = "none"
"""Source of an answer that no link gave."""
log = logging.getLogger(__name__)


class Answerer(Protocol):
    """What a link asks."""

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        """Label (None: it has none) and score of each record."""
        ...


@dataclass(frozen=True)
class Model:
    """A version as an answerer."""

    predictor: Predictor

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        """Its labels and scores."""
        answers = self.predictor.predict(columns)
        return list(answers.labels), answers.scores


@dataclass(frozen=True)
class Link:
    """One place in the chain."""

    name: str
    confidence: float
    answerer: Answerer | None
    """None: missing."""


@dataclass(frozen=True)
class ChainAnswers:
    """What the chain says of n records."""

    labels: list[str]
    scores: list[float]
    """Of the link that answered; of the surest link where none did."""
    sources: list[str]
    """Names of links; "none" where none was confident enough."""


class Chain:
    """Links in order."""

    def __init__(self, links: Sequence[Link], out_of_scope: str | None) -> None:
        self.links = tuple(links)
        self._out_of_scope = out_of_scope

    def predict(self, columns: Columns) -> ChainAnswers:
        """Answers for n checked records; each depends on its own record only."""
        return self._ask(columns, _Open(row_count(columns)), self.links)

    def complete(self, columns: Columns, first: Answers) -> ChainAnswers:
        """The same where the first link has been asked already, as servers ask it in batches."""
        undecided = _Open(row_count(columns))
        head, *others = self.links
        undecided.settle(undecided.open, list(first.labels), first.scores, head)
        return self._ask(columns, undecided, others)

    def _ask(self, columns: Columns, undecided: _Open, links: Sequence[Link]) -> ChainAnswers:
        for link in links:
            rows = undecided.open
            if not len(rows):
                break
            if link.answerer is None:
                continue
            try:
                labels, scores = link.answerer.answer(take(columns, rows))
            except Exception:
                log.warning("link %s failed; the next one is asked", link.name, exc_info=True)
                continue
            undecided.settle(rows, labels, scores, link)
        return undecided.close(self._out_of_scope)


class _Open:
    """Rows on their way through the chain."""

    def __init__(self, rows: int) -> None:
        self._labels: list[str | None] = [None] * rows
        self._scores = [0.0] * rows
        self._sources: list[str | None] = [None] * rows
        self._surest: list[tuple[float, str | None, str]] = [(0.0, None, OUT_OF_SCOPE)] * rows

    @property
    def open(self) -> np.ndarray:
        """Rows without an answer yet."""
        return np.flatnonzero([source is None for source in self._sources])

    def settle(
        self, rows: np.ndarray, labels: Sequence[str | None], scores: Sequence[float], link: Link
    ) -> None:
        for row, label, score in zip(rows.tolist(), labels, scores, strict=True):
            if label is None:
                continue
            if score >= link.confidence:
                self._labels[row], self._scores[row], self._sources[row] = label, score, link.name
            elif score > self._surest[row][0]:
                self._surest[row] = (score, label, link.name)

    def close(self, out_of_scope: str | None) -> ChainAnswers:
        labels, sources = [], []
        for row, label in enumerate(self._labels):
            source = self._sources[row]
            if label is None or source is None:
                score, surest, name = self._surest[row]
                self._scores[row] = score
                label = out_of_scope if out_of_scope is not None else surest
                source = OUT_OF_SCOPE if out_of_scope is not None or surest is None else name
            labels.append(label or "")
            sources.append(source)
        return ChainAnswers(labels, self._scores, sources)


def make_chain(use_case: UseCase, load: Callable[[ChainLink], Predictor | None]) -> Chain | None:
    """The chain that the configuration declares; None where it declares none.

    Args:
        use_case: its configuration.
        load: finds the version that a link names; None when there is none.

    Raises:
        ConfigError: the taxonomy cannot be read.
    """
    if use_case.chain is None:
        return None
    links = [
        Link(link.name, link.confidence, _answerer(use_case, link, load)) for link in use_case.chain.links
    ]
    return Chain(links, use_case.chain.out_of_scope)


def _answerer(
    use_case: UseCase, link: ChainLink, load: Callable[[ChainLink], Predictor | None]
) -> Answerer | None:
    keywords: Mapping[str, Sequence[str]] = link.keywords
    if link.taxonomy and use_case.taxonomy is not None:
        keywords = read_taxonomy(Path(use_case.taxonomy)).keywords
    if keywords or link.taxonomy:
        classes = use_case.target.classes
        return KeywordClassifier({spelled_like(label, classes): words for label, words in keywords.items()})
    predictor = load(link)
    return None if predictor is None else Model(predictor)
