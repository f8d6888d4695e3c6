from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig, TextFeatures
from configs.spelling.letters import compose, decompose
from features.encoders.text import SHORT_WORDS, TextEncoder
from features.encoders.tokens import LONGEST_WORD, pieces_of, words_of
from features.records.contract import Columns

RECORD = RecordConfig(fields=(FieldConfig(name="text", type="text", nullable=True),))
TEXTS = ["Warm soup, please", "warm bread", "cold soup \U0001f35c", "شوربة ساخنة من فضلك", "", None]


def column(*texts: str | None) -> Columns:
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return {"text": values}


def fitted(**options: object) -> TextEncoder:
    features = FeaturesConfig(text=TextFeatures.model_validate({"min_rows": 1, **options}))
    return TextEncoder.fit(column(*TEXTS), RECORD, features)


def weights(encoder: TextEncoder, text: str | None) -> dict[str, float]:
    places, values = encoder.encode(column(text))[0]
    state = encoder.to_state()
    names = {2 * at: word for at, word in enumerate(state["words"])}
    names |= {2 * at + 1: f"part:{piece}" for at, piece in enumerate(state["pieces"])}
    assert set(names.values()) == set(encoder.feature_names)
    return {names[int(place)]: float(value) for place, value in zip(places, values, strict=True) if value}


@pytest.mark.parametrize(("words", "known"), [(SHORT_WORDS, True), (SHORT_WORDS + 1, False)])
def test_a_word_of_one_row_is_known_where_texts_are_very_short(words: int, known: bool) -> None:
    texts = [" ".join(["again"] * (words - 1) + [f"once{row}"]) for row in range(5)]
    encoder = TextEncoder.fit(column(*texts), RECORD, FeaturesConfig())
    assert ("once3" in encoder.feature_names) == known
    asked = FeaturesConfig(text=TextFeatures(min_rows=2))
    assert "once3" not in TextEncoder.fit(column(*texts), RECORD, asked).feature_names


def test_words_are_of_any_script_and_signs_stand_for_themselves() -> None:
    assert words_of("Żur & شوربة\U0001f35c2x_y") == ["żur", "&", "شوربة", "\U0001f35c", "2x", "y"]
    assert words_of("a" * 1000) == ["a" * LONGEST_WORD]
    assert list(pieces_of("ab", (3, 3))) == [" ab", "ab "]


def test_terms_are_words_pairs_and_parts() -> None:
    weight_by_term = weights(fitted(piece_lengths=(4, 4)), "warm soup unheard")
    assert set(weight_by_term) == {"warm", "soup", "warm soup", "part: war", "part:warm", "part:arm "} | {
        "part: sou",
        "part:soup",
        "part:oup ",
    }
    assert sum(value**2 for value in weight_by_term.values()) == pytest.approx(1, abs=1e-5)
    assert weight_by_term["warm soup"] > weight_by_term["warm"]


def test_words_alone_agree_with_scikit_learn() -> None:
    texts = ["warm soup warm", "warm bread", "cold soup"]
    encoder = TextEncoder.fit(column(*texts), RECORD, FeaturesConfig(text=TextFeatures(pieces=0, min_rows=1)))
    reference = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit(texts)
    expected = reference.transform(["warm warm soup"]).toarray()[0]
    weight_by_term = weights(encoder, "warm warm soup")
    for name, place in reference.vocabulary_.items():
        assert weight_by_term.get(name, 0) == pytest.approx(expected[place], abs=1e-5)


def test_a_typing_error_keeps_most_parts() -> None:
    encoder = fitted()
    assert weights(encoder, "brxad")
    assert not weights(encoder, "qqq")


def test_no_text_is_all_zeros() -> None:
    encoder = fitted()
    for nothing in ("", None, " \t\n"):
        assert not encoder.encode(column(nothing)).any()


def test_of_too_many_terms_the_weightiest_stay() -> None:
    encoder = fitted(max_terms=16, piece_lengths=(2, 5))
    everything = "warm soup please bread cold"
    encoded = encoder.encode(column(everything))[0]
    assert encoded.shape == (2, 16)
    assert (encoded[1] > 0).all()
    assert (np.diff(encoded[0]) > 0).all()
    roomy = weights(fitted(max_terms=4096, piece_lengths=(2, 5)), everything + " please" * 3)
    assert len(roomy) > 16


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_rows_do_not_depend_on_each_other(texts: list[str]) -> None:
    encoder = fitted()
    together = encoder.encode(column(*texts))
    apart = [TextEncoder.from_state(encoder.to_state()).encode(column(text))[0] for text in texts]
    np.testing.assert_array_equal(together, np.stack(apart))
    assert np.isfinite(together).all()


def test_the_state_is_json() -> None:
    encoder = fitted()
    again = TextEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    np.testing.assert_array_equal(again.encode(column(*TEXTS)), encoder.encode(column(*TEXTS)))
    assert again.input_shape == encoder.input_shape


def test_summary_tells_familiar_words_from_rare_and_unknown() -> None:
    texts = ["warm soup"] * 20 + ["cold soup"] * 19
    features = FeaturesConfig(text=TextFeatures(min_rows=1))
    encoder = TextEncoder.fit(column(*texts), RECORD, features)
    summary = encoder.summarise(column("warm soup", "warm cold", "warm unheard", "cold", ""))
    assert summary["familiar_words"].tolist()[:4] == [1.0, 0.5, 0.5, 0.0]
    assert np.isnan(summary["familiar_words"][4])
    assert "text:length" in summary


def test_both_sets_come_with_the_texts_themselves_to_be_compared_by_their_words() -> None:
    tables = fitted().summarise_both(column("warm soup", "cold"), column("bread"))
    assert [table["text:vocabulary"].tolist() for table in tables] == [["warm soup", "cold"], ["bread"]]


def test_new_rows_of_the_same_kind_are_as_familiar_as_those_learned_from() -> None:
    random = np.random.default_rng(3)
    words = np.array([f"word{number}" for number in range(3000)])
    shares = 1 / np.arange(1, 3001)
    texts = [" ".join(random.choice(words, 6, p=shares / shares.sum())) for _ in range(1200)]
    features = FeaturesConfig(text=TextFeatures(min_rows=1, pieces=0))
    encoder = TextEncoder.fit(column(*texts[:600]), RECORD, features)
    learned = encoder.summarise(column(*texts[:600]))["familiar_words"]
    new = encoder.summarise(column(*texts[600:]))["familiar_words"]
    assert abs(learned.mean() - new.mean()) < 0.1 * learned.std()


@pytest.mark.parametrize("learned", [compose, decompose])
def test_a_text_is_read_alike_in_composed_and_decomposed_letters(learned: Callable[[str], str]) -> None:
    texts = ["crème brûlée", "café au lait", "thé vert", "eau"]
    features = FeaturesConfig(text=TextFeatures(min_rows=1))
    encoder = TextEncoder.fit(column(*map(learned, texts)), RECORD, features)
    assert {"crème", "café au", "thé"} < set(encoder.feature_names)
    as_one, as_other = (encoder.encode(column(*map(spell, texts))) for spell in (compose, decompose))
    np.testing.assert_array_equal(as_one, as_other)
    familiar = encoder.summarise(column(*map(decompose, texts)))["familiar_words"]
    assert familiar.tolist() == encoder.summarise(column(*texts))["familiar_words"].tolist()


def test_a_version_of_an_earlier_release_reads_letters_as_it_has_learned_them() -> None:
    state = fitted().to_state()
    texts = column(decompose("café"), "warm soup")
    earlier = {name: value for name, value in state.items() if name != "composes"}
    earlier |= {"words": ["cafe", "\u0301"], "words_idf": [1.0, 1.0], "pieces": [], "pieces_idf": []}
    assert TextEncoder.from_state(earlier).encode(texts)[0, 1].any()
    assert not TextEncoder.from_state({**earlier, "composes": True}).encode(texts)[0, 1].any()
