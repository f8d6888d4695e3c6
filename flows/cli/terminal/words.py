"""Names of the code as people say them, the same as on the page."""

from __future__ import annotations

_ASKING = {
    "http": "a call over HTTP",
    "person": "a person",
    "labels": "new labels",
    "first_model": "the first start",
    "schedule": "the schedule",
    "age": "the age of production",
}


def asked_by(name: str) -> str:
    """Who or what asked for a run, or moved production; a person's name stays what it is.

    >>> asked_by("first_model"), asked_by("ann")
    ('the first start', 'ann')
    """
    return _ASKING.get(name, name)


def plain_words(name: str) -> str:
    """A name in configuration as words.

    >>> plain_words("too_little_evidence")
    'too little evidence'
    """
    return name.replace("_", " ")


def many(number: int, word: str) -> str:
    """A word in the plural where it has to be.

    >>> many(1, "label"), many(1200, "label")
    ('1 label', '1,200 labels')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"
