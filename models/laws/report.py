"""The laws held to a class, one after the other, and what was seen of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from models.laws.laws import LAWS, LawBroken, NotForThis, meaning
from models.laws.subject import Subject

MOST_LETTERS = 300


@dataclass(frozen=True)
class Finding:
    """What became of one law."""

    law: str
    state: Literal["kept", "broken", "not for this"]
    saw: str
    asks: str
    """What the law asks, for those who meet it broken."""


def hold_to_laws(name: str, kind: str, params: Mapping[str, Any]) -> Iterator[Finding]:
    """Each law, as soon as it is known what becomes of it.

    Raises:
        UnknownEstimator: nothing has this name.
        EstimatorUnavailable: its package is not here, or it is no class that obeys the contract.
        ModelError: it refuses the parameters.
    """
    with TemporaryDirectory() as folder:
        subject = Subject(name, kind, params, Path(folder))
        subject.make()
        for law in LAWS:
            yield look_at(subject, law)


def kind_of(name: str) -> str:
    """The first kind that a class says it learns from."""
    return Subject(name, "", {}, Path()).kinds[0]


def look_at(subject: Subject, law: str) -> Finding:
    """What becomes of one law."""
    check = LAWS[law]
    try:
        return Finding(law, "kept", check(subject), meaning(check))
    except NotForThis as reason:
        return Finding(law, "not for this", str(reason), meaning(check))
    except LawBroken as reason:
        return Finding(law, "broken", str(reason), meaning(check))
    except Exception as error:  # noqa: BLE001  (whatever a class raises is what was seen)
        first = " ".join(str(error).split())[:MOST_LETTERS]
        return Finding(law, "broken", f"{type(error).__name__}: {first}", meaning(check))
