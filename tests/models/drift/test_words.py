"""Words that are certain to be in more or fewer texts; of texts as before none is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig
from models.drift.judging import judge_frames
from models.drift.words import compare_words

CONFIG = DriftConfig(min_rows=30, reference_rows=400, current_rows=200)


def texts(rows: int, *, seed: int, more: str = "", share: float = 0.0, first: int = 0) -> list[str | None]:
    """Five of 200 words each, some with one more."""
    random = np.random.default_rng(seed)
    words = np.array([f"w{place}" for place in range(first, first + 200)])
    shares = 1 / np.arange(1, 201)
    made = [" ".join(random.choice(words, 5, p=shares / shares.sum())) for _ in range(rows)]
    return [f"{one} {more}" if random.random() < share else one for one in made]


def frame(values: list[str | None]) -> pd.DataFrame:
    words = [float(len((text or "").split())) for text in values]
    return pd.DataFrame({"text:words": words, "text:vocabulary": pd.Series(values, dtype=object)})


def test_words_that_came_and_went_are_named_with_their_shares() -> None:
    found = compare_words(
        texts(400, seed=0, more="soup", share=0.5), texts(200, seed=1, more="Pizza", share=0.3)
    )
    told = found.tell()
    assert told is not None
    assert told.startswith('words more common now: "pizza" in 24% of texts (0% before)')
    assert '; less common: "soup" in 0% (54%)' in told
    assert set(found.words[:2]) == {"soup", "pizza"}
    assert found.p_value < 1e-20


def test_of_texts_as_before_hardly_ever_a_word_is_certain() -> None:
    found = [compare_words(texts(400, seed=seed), texts(200, seed=1000 + seed)) for seed in range(60)]
    assert sum(one.p_value <= 0.001 for one in found) <= 1
    assert sum(one.tell() is not None for one in found) <= 1


def test_the_distance_is_that_of_jensen_and_shannon_between_texts_with_a_word_and_without() -> None:
    from scipy.spatial.distance import jensenshannon

    found = compare_words(["a"] * 100, ["a b"] * 30 + ["a"] * 70)
    assert found.distance == pytest.approx(jensenshannon([0, 1], [0.3, 0.7]))
    assert compare_words(["a"] * 100, ["a"] * 50).distance == 0.0


def test_many_words_of_few_texts_each_are_far_together() -> None:
    random = np.random.default_rng(0)
    foreign = [f"f{place}" for place in range(20)]
    now = texts(800, seed=1) + [" ".join(random.choice(foreign, 4)) for _ in range(200)]
    found = compare_words(texts(1000, seed=2), now)
    alone = max(share for word, share in zip(found.words, found.now, strict=True) if word in foreign)
    assert alone < 0.07
    assert found.together[0][0] == 0.0
    assert found.together[0][1] == pytest.approx(0.2)
    assert found.distance > 0.25


def test_texts_of_words_that_hardly_any_text_has_are_found_and_told() -> None:
    """As those of another language are, each word of which is in one text or two."""
    foreign = [" ".join(f"f{4 * row + place}" for place in range(4)) for row in range(40)]
    found = compare_words(texts(1000, seed=2), [*texts(160, seed=1), *foreign])
    assert not any(word.startswith("f") for word in found.words)
    told = found.tell()
    assert told is not None
    assert "texts mostly of rare words: 20% (0% before)" in told
    assert found.p_value < 1e-10
    assert found.distance > 0.25


def test_what_moved_far_counts_only_where_it_is_certain() -> None:
    """Of many rare words some are in all of the one set and none of the other, by chance."""
    before = ["all"] * 100
    now = ["all rare"] * 5 + ["all"] * 15
    found = compare_words(before, now)
    assert found.p_value < 1e-3
    rare = [f"all x{row}" for row in range(100)]
    many = compare_words(rare, [f"all y{row}" for row in range(20)])
    assert (many.p_value, many.tell()) == (1.0, None)
    gone = compare_words(rare, ["all"] * 20)
    assert gone.words == ("all",), "no word by itself"
    assert gone.tell() == "texts with a rare word: 0% (100% before)"


def test_a_word_that_is_in_all_texts_is_no_news_and_no_texts_tell_nothing() -> None:
    same = compare_words(["a b"] * 50, ["a b"] * 50)
    assert (same.p_value, same.tell()) == (1.0, None)
    for before, now in (([], ["a"] * 50), ([None] * 50, [None, ""] * 25), (["a"] * 50, [])):
        nothing = compare_words(before, now)
        assert (nothing.words, nothing.p_value, nothing.distance, nothing.tell()) == ((), 1.0, 0.0, None)


def test_more_words_than_can_be_read_are_counted() -> None:
    told = compare_words(["same"] * 200, ["a b c d e f"] * 100).tell()
    assert told is not None
    assert told.count('" in 100%') == 4
    assert " and 2 more" in told


def test_texts_of_the_same_length_with_other_words_are_drift_that_names_them() -> None:
    moved, columns = judge_frames(
        CONFIG, frame(texts(900, seed=0)), frame(texts(200, seed=1, first=20)), seed=1
    )
    assert moved.verdict == "drift"
    assert {name for name, one in moved.columns.items() if one.drifted} == {"text:vocabulary"}
    told = moved.columns["text:vocabulary"].moved
    assert told is not None
    assert told.startswith("words more common now: ")
    assert f"text:vocabulary: {told}" in moved.reason
    assert list(columns.reference.columns) == ["text:words"]  # Evidently's page has no picture of words


def test_texts_as_before_are_no_drift_and_an_ignored_field_is_not_looked_at() -> None:
    same, _ = judge_frames(CONFIG, frame(texts(900, seed=0)), frame(texts(200, seed=1)), seed=1)
    assert same.verdict == "no_drift"
    assert set(same.columns) == {"text:words", "text:vocabulary"}
    ignoring = CONFIG.model_copy(update={"ignore": ("text",)})
    moved = frame(texts(900, seed=0)), frame(texts(200, seed=1, first=20))
    assert not judge_frames(ignoring, *moved, seed=1)[0].columns


def test_words_that_moved_a_little_are_told_and_are_no_drift() -> None:
    now = texts(2000, seed=1, more="pizza", share=0.012)
    config = CONFIG.model_copy(update={"current_rows": 2000, "reference_rows": 4000})
    found, _ = judge_frames(config, frame(texts(4000, seed=0)), frame(now), seed=1)
    assert found.verdict == "no_drift"
    assert found.columns["text:vocabulary"].moved is None
    assert 'words more common now: "pizza" in 1% of texts (0% before)' in found.remarks["text:vocabulary"]


def test_other_words_are_drift_beside_however_many_columns_that_stand_still() -> None:
    still = np.random.default_rng(0).normal(size=(1100, 30))
    names = [f"n{place}" for place in range(30)]
    before = frame(texts(900, seed=0)).join(pd.DataFrame(still[:900], columns=names))
    now = frame(texts(200, seed=1, first=20)).join(pd.DataFrame(still[900:], columns=names))
    moved, _ = judge_frames(CONFIG, before, now, seed=1)
    assert moved.share is not None
    assert (moved.verdict, moved.share < CONFIG.share) == ("drift", True)
    assert moved.reason.startswith("1 of 32 columns moved")


def test_words_that_the_newest_rows_have_are_learned() -> None:
    before = frame([*texts(900, seed=0), *texts(300, seed=2, first=20)])
    config = CONFIG.model_copy(update={"reference_rows": 1200})
    found, _ = judge_frames(config, before, frame(texts(200, seed=1, first=20)), seed=1)
    assert found.verdict == "no_drift"
    assert "newest 300 rows that were learned" in found.reason
