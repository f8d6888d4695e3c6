"""The laws held to a class, one after the other, and what was seen of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from configs.schema import RecordConfig
from features.encoders.own import kinds_of, own_encoder_class
from features.errors import EncoderFailed
from features.other_packages import FOREIGN, raised
from models.laws.encoder_laws import ENCODER_LAWS
from models.laws.encoder_subject import EncoderSubject, record_of
from models.laws.laws import LAWS, LawBroken, NotForThis, meaning
from models.laws.subject import Subject

S = TypeVar("S")


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


def hold_encoder_to_laws(
    name: str, kind: str, params: Mapping[str, Any], record: RecordConfig | None = None
) -> Iterator[Finding]:
    """The same of an encoder, on records made for the kind, or of these fields.

    Raises:
        EncoderUnavailable: nothing has this name, its package is not here, or it is no encoder.
        EncoderFailed: it refuses the parameters, or such records.
    """
    with TemporaryDirectory() as folder:
        record = record_of(kind) if record is None else record
        subject = EncoderSubject(name, kind, record, params, Path(folder))
        found = subject.encoder_class
        try:
            made = found(params)
        except FOREIGN as error:
            raise EncoderFailed(name, "be made", error) from error
        refusal = getattr(made, "refusal", None)
        try:
            reason = None if refusal is None else refusal(record)
        except FOREIGN as error:
            raise EncoderFailed(name, "say what it refuses", error) from error
        if reason is not None:
            raise EncoderFailed(name, "encode these records", ValueError(reason))
        for law, check in ENCODER_LAWS.items():
            yield _find(law, check, subject)


def kind_of_encoder(name: str) -> str:
    """The first kind that a class says it encodes."""
    return kinds_of(own_encoder_class(name))[0]


def look_at(subject: Subject, law: str) -> Finding:
    """What becomes of one law."""
    return _find(law, LAWS[law], subject)


def _find(law: str, check: Callable[[S], str], subject: S) -> Finding:
    try:
        return Finding(law, "kept", check(subject), meaning(check))
    except NotForThis as reason:
        return Finding(law, "not for this", str(reason), meaning(check))
    except LawBroken as reason:
        return Finding(law, "broken", str(reason), meaning(check))
    except FOREIGN as error:  # whatever a class raises is what was seen
        return Finding(law, "broken", f"it {raised(error)}", meaning(check))
