"""Words of a column that differ in their spelling only."""

from __future__ import annotations

from collections.abc import Iterable

from features.records.spellings import FALSE, TRUE

_PAIRS = (("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("1", "0"))


def alike_words(words: Iterable[str]) -> list[list[str]]:
    """Words that mean the same, together: those that differ in capitals, and truths where all are truths.

    >>> alike_words(["Yes", "yes", "no"]), alike_words(["yes", "y", "n", "no"])
    ([['Yes', 'yes'], ['no']], [['yes', 'y'], ['n', 'no']])
    """
    words = list(words)
    are_truths = is_truths({word.lower() for word in words})
    found: dict[str, list[str]] = {}
    for word in words:
        key = word.casefold()
        if are_truths:
            key = "true" if key in TRUE or key == "1" else "false"
        found.setdefault(key, []).append(word)
    return list(found.values())


def is_truths(words: set[str]) -> bool:
    """Whether words in lower case are truths, true ones and false ones, by pairs such as yes and no.

    >>> is_truths({"yes", "no", "y", "n"}), is_truths({"y", "n", "t"}), is_truths({"1", "0"})
    (True, False, False)
    """
    pairs = [pair for pair in _PAIRS if set(pair) <= words]
    of_pairs = {word for pair in pairs for word in pair}
    two = len(words) == 2 and bool(words & TRUE) and bool(words & FALSE)
    return words != {"0", "1"} and (words == of_pairs or (two and words <= TRUE | FALSE))
