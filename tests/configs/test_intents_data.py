"""The intents corpus: enough of each label, nothing twice, and a taxonomy of the same labels."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import yaml

DATA = Path(__file__).parents[2] / "configs" / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_enough_texts_of_each_of_enough_labels() -> None:
    counts = Counter(row["label"] for row in rows("intents.csv"))
    assert len(counts) >= 140
    assert min(counts.values()) >= 14, counts.most_common()[-1]


def test_no_text_comes_twice_also_not_out_of_scope() -> None:
    texts = Counter(row["text"].casefold() for row in rows("intents.csv") + rows("intents_out_of_scope.csv"))
    assert [text for text, times in texts.items() if times > 1] == []


def test_texts_are_of_2_to_25_words_without_stray_space() -> None:
    for row in rows("intents.csv"):
        assert 2 <= len(row["text"].split()) <= 25, row
        assert row["text"] == row["text"].strip(), row


def test_the_taxonomy_has_each_label_and_no_other() -> None:
    taxonomy = yaml.safe_load((DATA / "intents_taxonomy.yaml").read_text(encoding="utf-8"))
    assert set(taxonomy["labels"]) == {row["label"] for row in rows("intents.csv")}
    for label, entry in taxonomy["labels"].items():
        assert entry["category"] in taxonomy["categories"], label
        assert entry["description"], label
        assert 3 <= len(entry["keywords"]) <= 8, label
        assert 4 <= len(entry["recommendations"]) <= 6, label
        assert all({"title", "why", "tags"} == set(item) for item in entry["recommendations"]), label
