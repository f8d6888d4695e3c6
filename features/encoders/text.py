"""Texts as weighted terms: single words, pairs of neighbours, parts of words; by meaning where asked for.

Terms are weighted by tf-idf with a logarithmic count (Salton and Buckley, "Term-weighting
approaches in automatic text retrieval", 1988), smoothed as scikit-learn does. Written out here
because an answer to one text must take well under a millisecond: scikit-learn's vectorisers take
several, and cannot be exported to ONNX. What a text means is told by a sentence transformer
(`features.meaning`), which is the same for all texts and learns nothing here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig, TextFeatures
from configs.spelling.letters import compose
from features.encoders.contract import row_count
from features.encoders.date_and_text_features import DERIVED, with_vocabulary
from features.encoders.tokens import pieces_of, words_of
from features.errors import TextModelMissing
from features.meaning.embedder import OpenModel, copy_model, open_text_model
from features.meaning.reading import Reading
from features.meaning.sources import find_text_model
from features.records.contract import Columns
from features.statistics.counts import BoundedCounts

if TYPE_CHECKING:
    import pandas as pd

CACHED_WORDS = 50_000
"""Most words whose terms are cached, to bound memory."""
SPARE = 1.5
"""Room for terms in a row, beyond the most that a training row needs."""
LEAST_ROOM = 16
SHORT_WORDS = 12
"""Texts of so many words on average are very short."""
MEANING = "meaning"
"""Folder of the files that tell it, in a version."""
FAMILIAR_ROWS = 20
"""Fewest training rows with a word that make it familiar. With one, every word of a training row would be,
and never all of a new row's: the difference would look like drift."""

WordTerms = tuple[int, tuple[int, ...]]
"""Place of the word itself (-1: not known), and the places of its parts."""


class DocumentCounts:
    """In how many texts each word or pair comes, and each part of a word.

    With `most`, of more different ones than that the rarest are forgotten meanwhile.
    """

    def __init__(self, options: TextFeatures, *, most: int = sys.maxsize) -> None:
        self.words, self.pieces = BoundedCounts(most), BoundedCounts(most)
        self.rows = 0
        self._options = options
        self._word_total = 0

    def add(self, texts: Sequence[str]) -> None:
        """Count some."""
        options = self._options
        for text in texts:
            row_words = words_of(compose(text))
            self._word_total += len(row_words)
            if options.words:
                self.words.update({*row_words, *map(" ".join, pairwise(row_words))})
            if options.pieces:
                self.pieces.update(
                    {piece for word in set(row_words) for piece in pieces_of(word, options.piece_lengths)}
                )
        self.rows += len(texts)

    @property
    def least_rows(self) -> int:
        """Rows that a term needs: of very short texts one, else a rare one is left with its parts alone."""
        return 1 if self._word_total <= SHORT_WORDS * self.rows else 2


class TextEncoder:
    """Rows of terms: shape (2, room), places of terms and their weights, the unused room being 0 and 0.

    Words and parts are scaled to length 1 apart and then together, so that neither drowns the other.
    Words and pairs have even places and parts of words odd ones, so that a model can tell them apart.
    Places are exact in 32 bits. A record with more known terms than there is room keeps the weightiest.
    Where texts are known by their meaning too, its numbers come first, at the places -1, -2, ... and so on.
    """

    def __init__(self, state: dict[str, Any], model: OpenModel | None = None) -> None:
        self._state = state
        self._model = model
        self._meaning: dict[str, Any] | None = state.get("meaning")
        self.fields: tuple[str, ...] = tuple(state["fields"])
        # Versions of earlier releases have learned from letters as they came.
        self._composes: bool = state.get("composes", False)
        self._lengths: tuple[int, int] = tuple(state["piece_lengths"])
        self._weight: float = state["piece_weight"]
        self._room: int = state["room"]
        self._words = {term: 2 * number for number, term in enumerate(state["words"])}
        self._pieces = {term: 2 * number + 1 for number, term in enumerate(state["pieces"])}
        self._idf = np.zeros(2 * max(len(self._words), len(self._pieces)), dtype=np.float32)
        self._idf[0 : 2 * len(self._words) : 2] = state["words_idf"]
        self._idf[1 : 2 * len(self._pieces) : 2] = state["pieces_idf"]
        self._familiar_idf = np.float32(state["familiar_idf"])
        self._cache: dict[str, WordTerms] = {}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Places and weights."""
        return (2, self._places + self._room)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The terms; a number of an encoded row is twice the number of one of them (a part: plus 1).

        Those of the meaning, which come last here, have the places -1, -2, ...
        """
        meaning = (f"meaning:{number}" for number in range(1, self._places + 1))
        return (*self._words, *(f"part:{piece}" for piece in self._pieces), *meaning)

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """None."""
        return {}

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn which terms there are, and how rare each is."""
        counts = DocumentCounts(options.text)
        counts.add(join_texts(columns, [field.name for field in record.fields]))
        made = cls.of_counts(counts, record, options.text)
        return made.with_room(made.most_terms(columns))

    @classmethod
    def of_counts(cls, counts: DocumentCounts, record: RecordConfig, text: TextFeatures) -> Self:
        """The encoder of texts that were counted, with room for any number of terms."""
        least = counts.least_rows if text.min_rows is None else text.min_rows
        words, pieces, rows = counts.words.counts, counts.pieces.counts, counts.rows
        chosen_words = _most_frequent(words, text.words, least)
        chosen_pieces = _most_frequent(pieces, text.pieces, least)
        state: dict[str, Any] = {
            "fields": [field.name for field in record.fields],
            "composes": True,
            "piece_lengths": list(text.piece_lengths),
            "piece_weight": text.piece_weight,
            "room": text.max_terms,
            "words": chosen_words,
            "words_idf": _rarity([words[term] for term in chosen_words], rows),
            "familiar_idf": _rarity([FAMILIAR_ROWS], rows)[0],
            "pieces": chosen_pieces,
            "pieces_idf": _rarity([pieces[term] for term in chosen_pieces], rows),
        }
        model = None
        if text.meaning is not None:
            model = find_text_model(text.meaning.model)
            state["meaning"] = {
                **text.meaning.model_dump(exclude={"model"}),
                "digest": model.model.digest,
                "places": model.model.places,
            }
        return cls(state, model)

    def most_terms(self, columns: Columns) -> int:
        """Terms of the row that has the most."""
        return max(map(len, self._counts(columns)), default=0)

    def with_room(self, most: int) -> Self:
        """The same with room for rows of so many terms, and some to spare."""
        room = min(self._room, max(LEAST_ROOM, int(SPARE * most)))
        return type(self)({**self._state, "room": room}, self._model)

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Places and weights of n rows, shape (n, 2, places of meaning + room)."""
        encoded = np.zeros((row_count(columns), *self.input_shape), dtype=np.float32)
        start = self._places
        if self._meaning is not None and self._model is not None:
            meaning = self._model.model.embed(join_texts(columns, self.fields), _reading(self._meaning))
            encoded[:, 0, :start] = -np.arange(1, start + 1)
            encoded[:, 1, :start] = meaning * np.float32(self._meaning["weight"])
        for row, counts in enumerate(self._counts(columns)):
            if counts:
                places, weights = self._weigh(counts)
                encoded[row, 0, start : start + len(places)] = places
                encoded[row, 1, start : start + len(weights)] = weights
        return encoded

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """All."""
        return np.ones(row_count(columns), dtype=np.bool_)

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """All."""
        return self.fit_rows(columns)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """Length, words, numerals, capitals and spaces of each field, and the share of familiar words."""
        import pandas as pd

        table: dict[str, Any] = {}
        for name in self.fields:
            numbers = DERIVED["text"].compute(columns[name])
            table |= {f"{name}:{part}": numbers[:, place] for place, part in enumerate(DERIVED["text"].parts)}
        table["familiar_words"] = [self._share_familiar(text) for text in join_texts(columns, self.fields)]
        return pd.DataFrame(table)

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the texts themselves, for their words to be compared."""
        one, other = (with_vocabulary(self.summarise(rows), rows, self.fields) for rows in (before, now))
        return one, other

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        return self._state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`.

        Raises:
            TextModelMissing: texts are known by their meaning, and the files that tell it are not there.
        """
        if "meaning" in state:
            raise TextModelMissing("its files are not beside what the encoder has learned")
        return cls(state)

    def write_files(self, directory: Path) -> None:
        """Put the files that tell the meaning of texts into a folder, if there are any."""
        if self._model is not None:
            copy_model(self._model, directory / MEANING)

    @classmethod
    def from_files(cls, state: dict[str, Any], directory: Path) -> Self:
        """The inverse of `to_state` and `write_files`.

        Raises:
            TextModelDamaged: the files are not there, or not those that it has learned with.
            TextModelMissing: the tokenizers are not installed.
        """
        if "meaning" not in state:
            return cls(state)
        return cls(state, open_text_model(directory / MEANING, state["meaning"]["digest"]))

    @property
    def _places(self) -> int:
        """Numbers of the meaning of a text."""
        return 0 if self._meaning is None else int(self._meaning["places"])

    def _share_familiar(self, text: str) -> float:
        words = self._words_of(text)
        return sum(map(self._is_familiar, words)) / len(words) if words else float("nan")

    def _is_familiar(self, word: str) -> bool:
        place = self._words.get(word)
        return place is not None and bool(self._idf[place] <= self._familiar_idf)

    def _counts(self, columns: Columns) -> Iterable[Counter[int]]:
        """How often each known term occurs in each row."""
        return map(self._count, join_texts(columns, self.fields))

    def _words_of(self, text: str) -> list[str]:
        return words_of(compose(text) if self._composes else text)

    def _count(self, text: str) -> Counter[int]:
        words = self._words_of(text)
        places: list[int] = []
        for word, times in Counter(words).items():
            single, pieces = self._cache.get(word) or self._terms_of(word)
            if single >= 0:
                places += [single] * times
            places += pieces * times
        pairs = map(self._words.get, map(" ".join, pairwise(words)))
        counts = Counter(places)
        counts.update(place for place in pairs if place is not None)
        return counts

    def _terms_of(self, word: str) -> WordTerms:
        pieces = pieces_of(word, self._lengths) if self._pieces else ()
        places = map(self._pieces.get, pieces)
        terms = (self._words.get(word, -1), tuple(place for place in places if place is not None))
        if len(self._cache) >= CACHED_WORDS:
            self._cache.clear()
        self._cache[word] = terms
        return terms

    def _weigh(self, counts: Counter[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        places = np.fromiter(counts.keys(), np.int64, len(counts))
        frequencies = np.fromiter(counts.values(), np.float32, len(counts))
        # In order of place, so that sums do not depend on the order of the words.
        order = np.argsort(places)
        places, weights = places[order], (1 + np.log(frequencies[order])) * self._idf[places[order]]
        parts = places % 2 == 1
        weights[~parts] = _scaled(weights[~parts], 1.0)
        weights[parts] = _scaled(weights[parts], self._weight)
        weights = _scaled(weights, 1.0)
        if len(places) > self._room:
            heaviest = np.sort(np.argsort(-weights, kind="stable")[: self._room])
            places, weights = places[heaviest], weights[heaviest]
        return places, weights


def _reading(meaning: dict[str, Any]) -> Reading:
    return Reading(meaning["window"], meaning["overlap"], meaning["most_tokens"])


def join_texts(columns: Columns, fields: Sequence[str]) -> list[str]:
    """The texts of each row, one after the other; a missing one is empty."""
    parts = [columns[name].tolist() for name in fields]
    return ["\n".join(text for text in row if text) for row in zip(*parts, strict=True)]


def _most_frequent(counts: Counter[str], most: int, min_rows: int) -> list[str]:
    """In alphabetical order; of few rows, all terms are known rather than none."""
    enough = [term for term, rows in counts.items() if rows >= min_rows]
    return sorted(sorted(enough or counts, key=lambda term: (-counts[term], term))[:most])


def _rarity(document_counts: Sequence[int], rows: int) -> list[float]:
    counts = np.array(document_counts, dtype=np.float64)
    values: list[float] = np.round(np.log((1 + rows) / (1 + counts)) + 1, 5).tolist()
    return values


def _scaled(weights: NDArray[np.float32], length: float) -> NDArray[np.float32]:
    norm = float(np.sqrt(np.dot(weights, weights)))
    return weights * np.float32(length / norm) if norm > 0 else weights
