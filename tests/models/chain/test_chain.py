from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ConfigError
from configs.schema import ChainLink, UseCase
from configs.spelling.letters import compose, decompose
from configs.taxonomy import read_taxonomy
from features.records.contract import Columns
from models.chain.chain import OUT_OF_SCOPE, Chain, Link, make_chain
from models.chain.keyword_classifier import KeywordClassifier
from models.versions.predictor import Answers

TEXTS = ("hot soup", "cold soup please", "tea", "what")


def column(*texts: str) -> Columns:
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return {"text": values}


@dataclass
class Fixed:
    """Answers by the text of the record."""

    answers: dict[str, tuple[str, float]]
    asked: int = 0

    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:
        self.asked += len(columns["text"])
        given = [self.answers.get(text, (None, 0.0)) for text in columns["text"].tolist()]
        return [label for label, _ in given], [score for _, score in given]


class Broken:
    def answer(self, columns: Columns) -> tuple[list[str | None], list[float]]:  # noqa: ARG002
        raise RuntimeError("no luck")


def link(name: str, confidence: float, **answers: tuple[str, float]) -> Link:
    return Link(name, confidence, Fixed({name.replace("_", " "): value for name, value in answers.items()}))


def test_each_link_is_asked_what_those_before_it_left_open() -> None:
    first = Fixed({"hot soup": ("soup", 0.9), "tea": ("tea", 0.4), "what": ("tea", 0.1)})
    second = Fixed({"tea": ("tea", 0.6), "cold soup please": ("soup", 0.8), "what": ("soup", 0.2)})
    chain = Chain([Link("one", 0.5, first), Link("two", 0.5, second)], "unknown")
    answers = chain.predict(column(*TEXTS))
    assert answers.labels == ["soup", "soup", "tea", "unknown"]
    assert answers.sources == ["one", "two", "two", OUT_OF_SCOPE]
    assert answers.scores == [0.9, 0.8, 0.6, 0.2]
    assert (first.asked, second.asked) == (4, 3)


@pytest.mark.parametrize("answerer", [None, Broken()])
def test_a_link_that_is_missing_or_fails_is_passed_over(answerer: Broken | None) -> None:
    chain = Chain([Link("one", 0, answerer), link("two", 0.5, tea=("tea", 0.5))], None)
    answers = chain.predict(column("tea", "what"))
    assert answers.labels == ["tea", ""]
    assert answers.sources == ["two", OUT_OF_SCOPE]


def test_without_a_label_for_it_the_surest_answer_stands() -> None:
    chain = Chain([link("one", 0.9, tea=("tea", 0.3)), link("two", 0.9, tea=("milk", 0.2))], None)
    answers = chain.predict(column("tea"))
    assert (answers.labels, answers.scores, answers.sources) == (["tea"], [0.3], ["one"])


def test_the_first_link_may_have_been_asked_already() -> None:
    first, second = Fixed({}), Fixed({"tea": ("tea", 1.0)})
    chain = Chain([Link("one", 0.6, first), Link("two", 0.5, second)], "unknown")
    given = Answers(("soup", "milk"), np.array([[0.9, 0.1], [0.5, 0.5]], np.float32))
    answers = chain.complete(column("hot soup", "tea"), given)
    assert answers.labels == ["soup", "tea"]
    assert answers.sources == ["one", "two"]
    assert (first.asked, second.asked) == (0, 1)


def test_no_records_get_no_answers() -> None:
    assert Chain([link("one", 0.5)], "unknown").predict(column()).labels == []


def test_keywords_count_by_their_words() -> None:
    keywords = KeywordClassifier({"soup": ["soup", "hot soup"], "tea": ["TEA"], "none": []})
    labels, scores = keywords.answer(column("Hot soup, or tea?", "tea", "coffee", "soups"))
    assert labels == ["soup", "tea", None, None]
    assert scores == [0.75, 1.0, 0.0, 0.0]


def test_keywords_are_found_in_composed_and_decomposed_letters() -> None:
    keywords = KeywordClassifier({"sweet": [compose("crème")], "warm": [decompose("thé")]})
    texts = (decompose("une crème"), compose("une crème"), decompose("du thé"), compose("du thé"))
    assert keywords.answer(column(*texts))[0] == ["sweet", "sweet", "warm", "warm"]


USE_CASE = UseCase.model_validate(
    {
        "name": "wishes",
        "title": "Wishes",
        "kind": "text",
        "record": {"fields": [{"name": "text", "type": "text"}]},
        "target": {"task": "multiclass"},
        "model": {"estimator": "linear_text"},
        "taxonomy": "taxonomy.yaml",
        "chain": {
            "links": [
                {"name": "trained", "alias": "production", "confidence": 0.5},
                {"name": "by_hand", "keywords": {"milk": ["milk"]}, "confidence": 0.9},
                {"name": "keywords", "taxonomy": True},
            ]
        },
    }
)


def test_a_chain_is_made_from_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(
        "tea:\n  keywords: [tea]\n  recommendations: [Green tea, {title: Mint, minutes: 3}]\n",
        encoding="utf-8",
    )
    asked: list[ChainLink] = []

    def load(wanted: ChainLink) -> None:
        asked.append(wanted)

    use_case = USE_CASE.model_copy(update={"taxonomy": str(path)})
    chain = make_chain(use_case, load)
    assert chain is not None
    assert [wanted.name for wanted in asked] == ["trained"]
    answers = chain.predict(column("tea", "milk", "tea with milk", "water"))
    assert answers.labels == ["tea", "milk", "milk", "out_of_scope"]
    assert answers.sources == ["keywords", "by_hand", "by_hand", OUT_OF_SCOPE]
    assert make_chain(use_case.model_copy(update={"chain": None}), lambda _: None) is None
    taxonomy = read_taxonomy(path)
    assert taxonomy.recommend("tea") == [{"title": "Green tea"}, {"title": "Mint", "minutes": 3}]
    assert taxonomy.recommend("water") == []


def test_labels_of_keywords_are_those_of_the_classes_in_whichever_form_their_letters_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(
        f"{decompose('thé')}:\n  keywords: [leaf]\n  recommendations: [Green]\n", encoding="utf-8"
    )
    taxonomy = read_taxonomy(path)
    for written in (compose("thé"), decompose("thé")):
        assert written in taxonomy
        assert taxonomy.recommend(written) == [{"title": "Green"}]
    links = [{"name": "taught", "taxonomy": True}, {"name": "own", "keywords": {decompose("été"): ["sun"]}}]
    for classes in ([compose("thé"), compose("été")], [decompose("thé"), decompose("été")], []):
        use_case = UseCase.model_validate(
            USE_CASE.model_dump()
            | {"taxonomy": str(path), "chain": {"links": links}}
            | {"target": {"task": "multiclass", "classes": classes}}
        )
        chain = make_chain(use_case, lambda _: None)
        assert chain is not None
        expected = classes or [compose("thé"), compose("été")]
        assert chain.predict(column("a leaf", "the sun")).labels == expected


def test_a_label_of_a_taxonomy_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(f"{compose('thé')}: {{}}\n{decompose('thé')}: {{}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is there twice, in two forms of its letters"):
        read_taxonomy(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tea: [1]", "tea: "),
        ("tea: {keywords: tea}", r"tea\.keywords: "),
        ("tea: {recommendations: [{name: x}]}", "allowed: a text, or a mapping with a `title`"),
        ("{", "line 2, column 1: not valid YAML"),
    ],
)
def test_a_taxonomy_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_taxonomy(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_taxonomy(tmp_path / "none.yaml")
