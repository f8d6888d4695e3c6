"""A small transformer with weights of chance, and the same in numpy to hold its graph to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from configs.pretrained.text_models import TOKENIZERS, is_installed
from features.meaning.embedder import GRAPH, TOKENIZER
from features.meaning.graph import BLOCK, LARGEST, Shape, write_graph

MISSING = f"the package {TOKENIZERS} is not installed (the extra `texts`)"
HAS_TOKENIZERS = is_installed(TOKENIZERS)
WORDS = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"),
    *("warm", "soup", "cold", "bread", "a", "please"),
)
HIDDEN, BENT, LAYERS, POSITIONS = 64, 128, 2, 64
SHAPE = Shape(heads=4)


def write_tiny_model(folder: Path, seed: int = 0) -> Path:
    """A folder with a transformer of chance and a tokenizer that knows a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    write_graph(make_weights(seed), SHAPE, folder / GRAPH)
    write_tokenizer(folder / TOKENIZER)
    return folder


def write_tokenizer(path: Path) -> None:
    """Words and letters, with a mark before and after each text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(at) for at in range(ord("a"), ord("z") + 1)]
    terms = dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters, *(f"##{one}" for one in letters)]
    )
    places = {term: place for place, term in enumerate(terms)}
    tokenizer = Tokenizer(models.WordPiece(places, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [(mark, places[mark]) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.enable_truncation(5)  # as published tokenizers have it; a text is to be read whole
    tokenizer.save(str(path))


def make_weights(seed: int) -> dict[str, NDArray[np.float32]]:
    """Named as in BERT."""
    random = np.random.default_rng(seed)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": drawn(80, HIDDEN),
        "embeddings.position_embeddings.weight": drawn(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": drawn(2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    maps: dict[str, tuple[int, int]] = {}
    for layer in (f"encoder.layer.{number}." for number in range(LAYERS)):
        maps |= {f"{layer}attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
        maps[f"{layer}attention.output.dense"] = (HIDDEN, HIDDEN)
        maps[f"{layer}intermediate.dense"] = (BENT, HIDDEN)
        maps[f"{layer}output.dense"] = (HIDDEN, BENT)
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name, shape in maps.items():
        weights |= {f"{name}.weight": drawn(*shape), f"{name}.bias": drawn(shape[0])}
    for name in norms:
        weights |= {f"{name}.weight": 1 + drawn(HIDDEN), f"{name}.bias": drawn(HIDDEN)}
    return weights


def embed_in_numpy(weights: Mapping[str, NDArray[Any]], tokens: Sequence[int]) -> NDArray[np.float64]:
    """The vector of one text, by the definition of the network; matrices as 8 bits hold them."""
    w = {name: _through_8_bits(name, array) for name, array in weights.items()}
    x = w["embeddings.word_embeddings.weight"][list(tokens)]
    x = x + w["embeddings.position_embeddings.weight"][: len(tokens)]
    x = _norm(w, "embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0])
    for layer in (f"encoder.layer.{number}." for number in range(LAYERS)):
        heads = [
            _linear(w, f"{layer}attention.self.{name}", x)
            .reshape(len(tokens), SHAPE.heads, -1)
            .swapaxes(0, 1)
            for name in ("query", "key", "value")
        ]
        scores = heads[0] @ heads[1].swapaxes(1, 2) / np.sqrt(HIDDEN / SHAPE.heads)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        taken = (shares / shares.sum(axis=-1, keepdims=True)) @ heads[2]
        taken = taken.swapaxes(0, 1).reshape(len(tokens), HIDDEN)
        x = _norm(
            w, f"{layer}attention.output.LayerNorm", x + _linear(w, f"{layer}attention.output.dense", taken)
        )
        inner = _linear(w, f"{layer}intermediate.dense", x)
        bent = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = _norm(w, f"{layer}output.LayerNorm", x + _linear(w, f"{layer}output.dense", bent))
    mean = x.mean(axis=0)
    vector: NDArray[np.float64] = mean / np.linalg.norm(mean)
    return vector


def _through_8_bits(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    exact = array.astype(np.float64)
    if exact.ndim < 2 or "position" in name or "token_type" in name:
        return exact
    blocks = exact.reshape(len(exact), -1, BLOCK)
    scales = np.abs(blocks).max(axis=2, keepdims=True) / LARGEST
    packed: NDArray[np.float64] = (np.rint(blocks / scales) * scales).reshape(exact.shape)
    return packed


def _linear(w: Mapping[str, NDArray[Any]], name: str, x: NDArray[Any]) -> NDArray[Any]:
    product: NDArray[Any] = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return product


def _norm(w: Mapping[str, NDArray[Any]], name: str, x: NDArray[Any]) -> NDArray[Any]:
    deviations = x - x.mean(axis=-1, keepdims=True)
    scaled = deviations / np.sqrt((deviations**2).mean(axis=-1, keepdims=True) + SHAPE.epsilon)
    normed: NDArray[Any] = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
    return normed
