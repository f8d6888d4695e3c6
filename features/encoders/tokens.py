"""Words of a text and their parts, the same for training and serving.

A word is a run of letters and numerals of any script; a sign that is neither, nor a space,
stands for itself (so an emoji is a word). Parts of a word are runs of its characters, with its
ends marked, so that a word with a typing error still shares most of them with the right one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = re.compile(r"[^\W_]+|[^\w\s]")
LONGEST_WORD = 40
"""A longer run of letters, such as an encoded file, is cut, so that it does not give parts without end."""


def words_of(text: str) -> list[str]:
    """Words in order, in small letters.

    >>> words_of("Don't  PANIC \\N{ROCKET}")
    ['don', "'", 't', 'panic', '\\N{ROCKET}']
    """
    return [word[:LONGEST_WORD] for word in _WORDS.findall(text.lower())]


def pieces_of(word: str, lengths: tuple[int, int]) -> Iterator[str]:
    """Runs of characters of one word, its ends marked by a space.

    >>> list(pieces_of("cat", (3, 4)))
    [' ca', 'cat', 'at ', ' cat', 'cat ']
    """
    marked = f" {word} "
    for length in range(lengths[0], lengths[1] + 1):
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]
