from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig
from features.encoders.text import MEANING, TextEncoder
from features.encoders.text_rows import count_meaning, count_terms, read_rows, to_sparse
from features.errors import TextModelDamaged, TextModelMissing
from features.meaning.embedder import GRAPH
from features.records.contract import Columns
from tests.features.meaning.tiny import HAS_TOKENIZERS, HIDDEN, MISSING, write_tiny_model

pytestmark = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
RECORD = RecordConfig(
    fields=(FieldConfig(name="text", type="text"), FieldConfig(name="more", type="text", nullable=True))
)


def columns(*texts: str) -> Columns:
    values = {"text": np.empty(len(texts), object), "more": np.empty(len(texts), object)}
    values["text"][:] = texts
    return values


TEXTS = columns("warm soup", "cold bread please", "", "alpha beta")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


def fitted(model: Path, weight: float = 2.0, **text: object) -> TextEncoder:
    meaning = {"model": str(model), "weight": weight}
    options = FeaturesConfig.model_validate({"text": {"min_rows": 1, "meaning": meaning, **text}})
    return TextEncoder.fit(TEXTS, RECORD, options)


def test_meaning_stands_before_the_terms_at_places_of_its_own(model: Path) -> None:
    encoded = fitted(model).encode(TEXTS)
    words = TextEncoder.fit(TEXTS, RECORD, FeaturesConfig.model_validate({"text": {"min_rows": 1}}))
    np.testing.assert_array_equal(encoded[:, 0, :HIDDEN], np.tile(-np.arange(1, HIDDEN + 1), (4, 1)))
    np.testing.assert_allclose(np.linalg.norm(encoded[:, 1, :HIDDEN], axis=1), [2, 2, 0, 2], atol=1e-5)
    np.testing.assert_array_equal(encoded[:, :, HIDDEN:], words.encode(TEXTS))
    assert fitted(model).input_shape == encoded.shape[1:]
    assert len(fitted(model).feature_names) == len(words.feature_names) + HIDDEN


def test_as_matrices_each_part_is_what_it_was(model: Path) -> None:
    encoded = fitted(model).encode(TEXTS)
    rows = read_rows(encoded, count_terms(encoded))
    assert count_meaning(encoded) == rows.meaning.shape[1] == HIDDEN
    together = to_sparse(encoded, count_terms(encoded)).toarray()
    np.testing.assert_array_equal(together, np.hstack([rows.terms.toarray(), rows.meaning]))
    lengths = np.linalg.norm(together, axis=1)
    np.testing.assert_allclose(lengths, [5**0.5, 5**0.5, 0, 5**0.5], atol=1e-5)


def test_meaning_alone_needs_no_words(model: Path) -> None:
    encoder = fitted(model, words=0, pieces=0)
    encoded = encoder.encode(TEXTS)
    assert count_terms(encoded) == 1
    assert not encoded[:, 1, HIDDEN:].any()
    assert encoder.feature_names[0] == "meaning:1"
    with pytest.raises(ValidationError, match="nothing would be known of a text"):
        FeaturesConfig.model_validate({"text": {"words": 0, "pieces": 0}})


def test_it_is_the_same_when_loaded_with_its_files(model: Path, tmp_path: Path) -> None:
    encoder = fitted(model)
    encoder.write_files(tmp_path)
    loaded = TextEncoder.from_files(encoder.to_state(), tmp_path)
    np.testing.assert_array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS))
    loaded.write_files(tmp_path / "again")
    assert (tmp_path / "again" / MEANING / GRAPH).read_bytes() == (model / GRAPH).read_bytes()


def test_another_graph_than_it_learned_with_is_refused(model: Path, tmp_path: Path) -> None:
    state = fitted(model).to_state()
    with pytest.raises(TextModelMissing, match="are not beside"):
        TextEncoder.from_state(state)
    with pytest.raises(TextModelDamaged, match="cannot be read"):
        TextEncoder.from_files(state, tmp_path)
    write_tiny_model(tmp_path / MEANING, seed=1)
    with pytest.raises(TextModelDamaged, match="is not the text model that was learned with"):
        TextEncoder.from_files(state, tmp_path)


def test_states_of_encoders_without_meaning_are_as_before(tmp_path: Path) -> None:
    state = TextEncoder.fit(
        TEXTS, RECORD, FeaturesConfig.model_validate({"text": {"min_rows": 1}})
    ).to_state()
    assert "meaning" not in state
    loaded = TextEncoder.from_files(state, tmp_path)
    np.testing.assert_array_equal(loaded.encode(TEXTS), TextEncoder.from_state(state).encode(TEXTS))
    loaded.write_files(tmp_path)
    assert not list(tmp_path.iterdir())
