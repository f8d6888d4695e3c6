from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from features.errors import TextModelDamaged
from features.meaning.embedder import GRAPH, TOKENIZER, OpenModel, copy_model, open_text_model
from features.meaning.reading import Reader, Reading
from features.pretrained.keeping import vectors_kept
from tests.features.meaning.tiny import (
    HAS_TOKENIZERS,
    HIDDEN,
    MISSING,
    embed_in_numpy,
    make_weights,
    write_tiny_model,
    write_tokenizer,
)

pytestmark = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
READING = Reading(window=32, overlap=8, most=200)
TEXTS = (
    *(
        "warm soup please",
        "cold bread",
        "alpha beta gamma",
        "a",
        "warm soup please",
        "soup " * 100,
        "zeta " * 31,
    ),
    *("", " \t\n", "日本語 🎈", "\ud800 lone", "Żółć é", "x" * 5000, "[SEP] [CLS]"),
    *("\0", "warm\0soup", "👩‍👩‍👧‍👦🇫🇮", "Z" + "\u0301" * 50, "\u202eabc\u202c שלום", "warm soup " * 10_000),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenModel:
    return open_text_model(write_tiny_model(tmp_path_factory.mktemp("tiny")))


def test_the_graph_computes_what_the_network_is_defined_to(opened: OpenModel) -> None:
    windows = Reader(opened.folder / TOKENIZER).windows("warm soup please, cold bread!", READING)
    assert len(windows) == 1
    expected = embed_in_numpy(make_weights(0), windows[0])
    np.testing.assert_allclose(
        opened.model.embed(["warm soup please, cold bread!"], READING)[0], expected, atol=2e-5
    )


def test_vectors_have_length_one_and_nothing_gives_zeros(opened: OpenModel) -> None:
    vectors = opened.model.embed(TEXTS, READING)
    assert vectors.shape == (len(TEXTS), HIDDEN)
    assert vectors.dtype == np.float32
    nothing = [not text.strip("\0 \t\n") for text in TEXTS]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.where(nothing, 0, 1), atol=1e-6)
    assert opened.model.embed([], READING).shape == (0, HIDDEN)


def test_a_vector_does_not_depend_on_order_or_company(opened: OpenModel, tmp_path: Path) -> None:
    together = opened.model.embed(TEXTS, READING)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_array_equal(opened.model.embed([TEXTS[at] for at in order], READING), together[order])
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(opened.model.embed([text], READING)[0], vector)
    with vectors_kept(tmp_path):  # on several threads
        np.testing.assert_array_equal(opened.model.embed([*TEXTS, *TEXTS], READING)[len(TEXTS) :], together)


def test_a_long_text_is_the_mean_of_its_windows(opened: OpenModel) -> None:
    words = ["warm", "soup", "cold", "bread", "alpha"] * 10
    whole = opened.model.embed([" ".join(words)], READING)[0]
    room, step = 30, 22  # the window without two marks, less what overlaps
    windows = [" ".join(words[at : at + room]) for at in (0, step)]
    mean = opened.model.embed(windows, READING).sum(axis=0)
    np.testing.assert_allclose(whole, mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "sizes"),
    [(0, []), (1, [3]), (30, [32]), (31, [32, 11]), (52, [32, 32]), (200, [32] * 8 + [26])],
)
def test_windows_hold_every_token_once_besides_what_overlaps(
    opened: OpenModel, tokens: int, sizes: list[int]
) -> None:
    reader = Reader(opened.folder / TOKENIZER)
    windows = reader.windows("alpha " * (tokens + 50 * (tokens == READING.most)), READING)
    assert [len(window) for window in windows] == sizes
    assert sum(sizes) - 2 * len(sizes) - READING.overlap * max(0, len(sizes) - 1) == tokens


def test_models_of_the_same_files_are_one_and_live_as_long_as_somebody_uses_them(tmp_path: Path) -> None:
    first = open_text_model(write_tiny_model(tmp_path / "first"))
    copy_model(first, tmp_path / "second")
    second = open_text_model(tmp_path / "second", first.model.digest)
    assert second.model is first.model
    assert second.folder != first.folder
    other = open_text_model(write_tiny_model(tmp_path / "other", seed=1))
    assert other.model is not first.model
    with pytest.raises(TextModelDamaged, match="is not the text model that was learned with"):
        open_text_model(tmp_path / "other", first.model.digest)


def test_many_threads_get_what_one_gets(opened: OpenModel) -> None:
    alone = opened.model.embed(TEXTS, READING)
    answers: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: answers.append(opened.model.embed(TEXTS, READING))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        np.testing.assert_array_equal(answer, alone)


@pytest.mark.parametrize("name", [GRAPH, TOKENIZER])
@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"], ids=["gone", "empty", "other"])
def test_what_is_no_model_is_refused_by_its_name(name: str, content: bytes | None, tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "broken")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(TextModelDamaged, match=name):
        open_text_model(folder)


def test_files_that_changed_since_are_not_copied(tmp_path: Path) -> None:
    opened = open_text_model(write_tiny_model(tmp_path / "model", seed=2))
    write_tiny_model(tmp_path / "model", seed=3)
    with pytest.raises(TextModelDamaged, match="was changed since it was opened"):
        copy_model(opened, tmp_path / "copy")


def test_a_graph_by_others_gives_a_vector_for_each_token(tmp_path: Path) -> None:
    """As those that are exported elsewhere: masks and kinds are asked for, and the mean is left to us."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["masked"]),
        helper.make_node("Add", ["masked", "token_type_ids"], ["ids"]),
        helper.make_node("Gather", ["table", "ids"], ["last_hidden_state"]),
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", 5])
    graph = helper.make_graph(nodes, "others", inputs, [output], [numpy_helper.from_array(table, "table")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        str(tmp_path / GRAPH),
    )
    write_tokenizer(tmp_path / TOKENIZER)
    model = open_text_model(tmp_path).model
    ids = Reader(tmp_path / TOKENIZER).windows("warm soup", READING)[0]
    mean = table[ids].mean(axis=0)
    np.testing.assert_allclose(model.embed(["warm soup"], READING)[0], mean / np.linalg.norm(mean), atol=1e-6)
