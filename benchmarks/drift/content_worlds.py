"""Worlds of real texts and images: nothing has moved, or something that is known has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from faker import Faker
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.drift.corpora import Corpus, open_corpus
from configs.schema import ChallengerConfig, UseCase
from features.encoders.contract import Encoder, row_count
from features.encoders.date_and_text_features import with_vocabulary
from features.records.contract import Columns, concat, take
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import threshold_array
from models.versions.fitting import FittedModel, fit_challenger
from models.versions.predictor import Answers

SAME = "nothing"
PART = 0.2
"""Share of the recent records that are changed, where not all are."""
UNSEEN = 0.2
"""Share of the kinds of a corpus, at most, that no version has learned from."""
SWELLING = 3.0
"""Times as common half of the kinds become."""
TYPED_WRONG = 0.1
"""Share of words with a slip."""
LEARNED, HELD_OUT = 0.4, 0.1
"""Shares of the rows that a version learns from, and that are held out; recent ones are of the rest."""
MOST_LEARNED = 2500
FULL = ChallengerConfig(name="full")
STRANGERS = {"clinc150": "intents"}
"""Corpus to that of which the texts of another domain are; all others get those of CLINC150."""

Change = Callable[[np.random.Generator, NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Draw:
    """Recent records with their labels, and what production says of them."""

    columns: Columns
    labels: list[str]
    answers: Answers


@dataclass(frozen=True)
class World:
    """One split of a corpus, with the version that learned from a part of it."""

    corpus: Corpus
    fitted: FittedModel
    learned: Columns
    learned_labels: list[str]
    held_out: Answers
    rest: Columns
    rest_labels: NDArray[np.object_]
    rest_kinds: NDArray[np.object_]
    unseen: Columns
    unseen_labels: NDArray[np.object_]

    @property
    def encoder(self) -> Encoder:
        """The version's."""
        return self.fitted.encoder

    @cached_property
    def before(self) -> pd.DataFrame:
        """What was learned, each row described by itself."""
        texts = [field.name for field in self.use_case.record.fields if field.type == "text"]
        return with_vocabulary(self.encoder.summarise(self.learned), self.learned, texts)

    @property
    def use_case(self) -> UseCase:
        """With its thresholds."""
        return self.corpus.use_case

    def answer(self, columns: Columns) -> Answers:
        """What the version says."""
        return answer(self.use_case, self.fitted, columns)


def answer(use_case: UseCase, fitted: FittedModel, columns: Columns) -> Answers:
    """What a fitted model says of records."""
    probabilities = fitted.estimator.predict_proba(fitted.encoder.encode(columns))
    many = use_case.target.task == "multilabel"
    thresholds = threshold_array(fitted.thresholds, fitted.classes) if many else None
    return Answers(fitted.classes, probabilities, thresholds, use_case.target.separator)


def split(corpus: Corpus, seed: int) -> World:
    """Kinds that are not seen are set aside; of the others a version learns from some rows."""
    random = np.random.default_rng(seed)
    kinds = sorted(set(corpus.kinds.tolist()) - {"genuine"})
    hidden = set(random.permutation(kinds)[: max(1, int(UNSEEN * len(kinds)))].tolist())
    is_hidden = np.array([kind in hidden for kind in corpus.kinds])
    rows = random.permutation(np.flatnonzero(~is_hidden))
    unseen = random.permutation(np.flatnonzero(is_hidden))
    learned = min(MOST_LEARNED, int(LEARNED * len(rows)))
    until = learned + int(HELD_OUT * len(rows))
    first, held, rest = rows[:learned], rows[learned:until], rows[until:]
    target = corpus.use_case.target.model_copy(update={"classes": None})
    use_case = corpus.use_case.model_copy(update={"target": target})
    labels = corpus.labels[first].tolist()
    columns = take(corpus.columns, first)
    fitted = fit_challenger(use_case, columns, labels, challenger=FULL, watch=SilentWatch())
    return World(
        corpus=replace(corpus, use_case=use_case),
        fitted=fitted,
        learned=columns,
        learned_labels=labels,
        held_out=answer(use_case, fitted, take(corpus.columns, held)),
        rest=take(corpus.columns, rest),
        rest_labels=corpus.labels[rest],
        rest_kinds=corpus.kinds[rest],
        unseen=take(corpus.columns, unseen),
        unseen_labels=corpus.labels[unseen],
    )


def draw(world: World, change: str, rows: int, seed: int) -> Draw | None:
    """So many recent records, changed; None: there are not so many."""
    random = np.random.default_rng([seed, rows])
    changed = int(PART * rows)
    if rows > len(world.rest_labels) or (change == "unseen kinds" and changed > len(world.unseen_labels)):
        return None
    picked = random.choice(len(world.rest_labels), rows, replace=False, p=_chances(world, change, random))
    if change == "unseen kinds":
        fresh = random.choice(len(world.unseen_labels), changed, replace=False)
        columns = concat([take(world.unseen, fresh), take(world.rest, picked[changed:])])
        labels = [*world.unseen_labels[fresh], *world.rest_labels[picked[changed:]]]
    else:
        columns, labels = take(world.rest, picked), world.rest_labels[picked].tolist()
        columns = alter(world.corpus, change, columns, random)
    return Draw(columns, labels, world.answer(columns))


def _chances(world: World, change: str, random: np.random.Generator) -> NDArray[np.float64] | None:
    if change != "shares of kinds":
        return None
    kinds = sorted(set(world.rest_kinds.tolist()))
    swollen = set(random.permutation(kinds)[: len(kinds) // 2].tolist())
    weights = np.array([SWELLING if kind in swollen else 1.0 for kind in world.rest_kinds])
    return np.asarray(weights / weights.sum())


def alter(corpus: Corpus, change: str, columns: Columns, random: np.random.Generator) -> Columns:
    """The records with their texts or images changed, a part of them or all."""
    if change in (SAME, "shares of kinds"):
        return columns
    changes: Mapping[str, Change] = IMAGES if corpus.use_case.kind == "image" else TEXTS
    if change == "other domain":
        stranger = open_corpus(STRANGERS.get(_name(corpus), "clinc150")).columns["text"]
        one: Change = lambda random, texts: random.choice(stranger, len(texts))  # noqa: E731
    else:
        one = changes[change]
    rows = row_count(columns)
    count = rows if change in WHOLE else int(PART * rows)
    names = [field.name for field in corpus.use_case.record.fields if field.type in ("text", "image")]
    altered = {}
    for name in [name for name in names if name not in ("name", "website")]:
        values = columns[name].copy()
        values[:count] = one(random, values[:count])
        altered[name] = values
    return {**columns, **altered}


def _name(corpus: Corpus) -> str:
    return "clinc150" if "translate" in set(corpus.kinds[:5000].tolist()) else ""


def changes_of(corpus: Corpus) -> Sequence[str]:
    """What can be changed of its records."""
    own = list(IMAGES) if corpus.use_case.kind == "image" else ["other domain", *TEXTS]
    return [SAME, "unseen kinds", "shares of kinds", *own]


def _in_german(random: np.random.Generator, texts: NDArray[Any]) -> NDArray[Any]:
    """As many German words, drawn: no sentences."""
    fake = Faker("de_DE")
    fake.seed_instance(int(random.integers(1 << 30)))
    words = [len(text.split()) if text else 0 for text in texts]
    return _objects([fake.sentence(count, variable_nb_words=False) if count else "" for count in words])


def _typed_wrong(random: np.random.Generator, texts: NDArray[Any]) -> NDArray[Any]:
    """Two neighbouring letters of some words swapped, every other text in small letters."""
    typed = []
    for place, text in enumerate(texts):
        words = (text or "").split(" ")
        for number in np.flatnonzero(random.random(len(words)) < TYPED_WRONG):
            word = words[number]
            if len(word) > 3:
                at = int(random.integers(len(word) - 1))
                words[number] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        one = " ".join(words)
        typed.append(one.lower() if place % 2 else one)
    return _objects([one or None for one in typed])


def _first_half(_random: np.random.Generator, texts: NDArray[Any]) -> NDArray[Any]:
    """The first half of the words."""
    split = [(text or "").split(" ") for text in texts]
    return _objects([" ".join(words[: max(1, len(words) // 2)]) or None for words in split])


def _objects(values: Sequence[str | None]) -> NDArray[Any]:
    return np.array([*values, None], dtype=object)[:-1]


def _blur(_random: np.random.Generator, images: NDArray[Any]) -> NDArray[Any]:
    return _pixels(ndimage.gaussian_filter(images.astype(float), (0, *_by_size(images, 0.05))))


def _noise(random: np.random.Generator, images: NDArray[Any]) -> NDArray[Any]:
    return _pixels(images + random.normal(0, 30, images.shape))


def _moved(_random: np.random.Generator, images: NDArray[Any]) -> NDArray[Any]:
    step = max(1, round(0.08 * images.shape[1]))
    return np.asarray(np.pad(images, ((0, 0), (0, 0), (step, 0)))[:, :, :-step])


def _turned(_random: np.random.Generator, images: NDArray[Any]) -> NDArray[Any]:
    return _pixels(ndimage.rotate(images.astype(float), 20, axes=(1, 2), reshape=False, order=1))


def _pixels(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _by_size(images: NDArray[Any], share: float) -> tuple[float, float]:
    return share * images.shape[1], share * images.shape[2]


TEXTS: Mapping[str, Change] = {
    "other language": _in_german,
    "typed wrong": _typed_wrong,
    "first half": _first_half,
}
IMAGES: Mapping[str, Change] = {
    "inverted": lambda _random, images: 255 - images,
    "blurred": _blur,
    "noisy": _noise,
    "shifted": _moved,
    "rotated": _turned,
}
WHOLE = ("typed wrong", "first half")
"""Changes of all recent records."""
