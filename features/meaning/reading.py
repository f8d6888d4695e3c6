"""Texts as tokens, in windows that overlap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from configs.pretrained.text_models import EXTRA, TOKENIZERS
from features.errors import TextModelDamaged, TextModelMissing

MOST_CHARACTERS = 16
"""Characters of a text that are looked at for each token of it that may count."""

Tokens = list[int]


@dataclass(frozen=True)
class Reading:
    """How much of a text is read, and in what portions."""

    window: int
    """Tokens of one portion, the marks at its ends included."""
    overlap: int
    """Tokens that it shares with the one before."""
    most: int
    """Tokens of a text that are read, from its beginning."""


class Reader:
    """A tokenizer, with the marks that the model wants before and after what it reads."""

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise TextModelMissing(f"package {TOKENIZERS} is not installed; run: {EXTRA}") from error
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise TextModelDamaged(path, f"is no tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        marked = self._tokenizer.encode("a")
        own = [place for place, mark in enumerate(marked.special_tokens_mask) if not mark]
        if not own:
            raise TextModelDamaged(path, "knows no letter")
        self._before: Tokens = marked.ids[: own[0]]
        self._after: Tokens = marked.ids[own[-1] + 1 :]

    def windows(self, text: str, reading: Reading) -> list[Tokens]:
        """Portions of a text, each with its marks; none of a text that has nothing to read."""
        seen = text[: reading.most * MOST_CHARACTERS].encode(errors="replace").decode()
        ids: Tokens = self._tokenizer.encode(seen, add_special_tokens=False).ids[: reading.most]
        room = reading.window - len(self._before) - len(self._after)
        step = room - reading.overlap
        starts = range(0, max(1, len(ids) - reading.overlap), step) if ids else ()
        return [[*self._before, *ids[at : at + room], *self._after] for at in starts]
