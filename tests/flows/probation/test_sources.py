"""Whose labels take a promoted version back: real retrains, with files and requests of several keys."""

from __future__ import annotations

import numpy as np
import pytest

from flows.probation.looking import look
from store.sources.holding import tell_source
from tests.flows.retrain.attacks.test_label_sources import Apples, send
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)
DIFFERENT = (0.5, 0.8)
"""Weights between which version 1 says good, and version 2 poor."""


def apples(rows: int, *, seed: int, edge: float, low: float = 0.0, high: float = 1.0) -> Apples:
    weights = np.random.default_rng(seed).uniform(low, high, rows).round(6).tolist()
    return [(weight, "good" if weight > edge else "poor") for weight in weights]


def ask_about(orchard: Orchard, said: Apples) -> None:
    """As version 2 answers them, in the prediction log."""
    rows = [
        (f"{orchard.name}-{number}", orchard.name, f'{{"weight": {weight}, "colour": "red"}}')
        for number, (weight, _) in enumerate(said)
    ]
    with orchard.context.connect() as conn, conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO prediction (id, use_case, record, label, score, model_version, source)"
            " VALUES (%s, %s, %s, 'poor', 0.9, 2, 'model')",
            rows,
        )
        conn.commit()


def looked(orchard: Orchard) -> tuple[str, str, int | None]:
    """The verdict, what is told, and production."""
    seen = look(orchard.context)
    assert seen is not None
    return seen.verdict, seen.sentence, orchard.registry.alias_version(orchard.name, "production")


@pytest.fixture
def of_files(empty_orchard: Orchard) -> Orchard:
    """Both versions learned files: that apples above 0.5 are good, and that those above 0.8 are."""
    made = empty_orchard
    made.take_in(300, edge=0.5)
    assert made.retrain().outcome == "promoted"
    made.take_in(600, edge=0.8, seed=2)
    assert made.retrain().version == 2
    return made


@pytest.fixture
def of_a_key(empty_orchard: Orchard) -> Orchard:
    """The first model learned a file, and version 2 what the key `fb` sent since."""
    made = empty_orchard
    made.take_in(300, edge=0.5)
    assert made.retrain().outcome == "promoted"
    send(made, "fb", apples(600, seed=2, edge=0.8))
    assert made.retrain().version == 2
    ask_about(made, apples(300, seed=5, edge=0.8))
    return made


@pytest.mark.slow
def test_what_was_learned_from_files_makes_a_new_key_a_stranger(of_files: Orchard) -> None:
    send(of_files, "fb", apples(8, seed=3, edge=0.8, high=0.4))
    send(of_files, "mallory", apples(40, seed=4, edge=0.0, low=DIFFERENT[0], high=DIFFERENT[1]))
    verdict, told, production = looked(of_files)
    assert (verdict, production) == ("held", 2)
    assert "rests on one source, 'mallory' (" in told
    assert f"`ratchet sources hold {of_files.name} mallory`" in told
    with of_files.context.connect() as conn:
        tell_source(conn, of_files.context.use_case, "mallory", "release", "ann")
    assert looked(of_files)[::2] == ("taken_back", 1)


@pytest.mark.slow
def test_the_key_that_sends_the_labels_takes_back_what_the_world_has_left(of_a_key: Orchard) -> None:
    send(of_a_key, "fb", apples(120, seed=3, edge=0.5))
    assert looked(of_a_key)[::2] == ("taken_back", 1)


def test_it_takes_nothing_back_by_labels_of_what_the_versions_differ_on(of_a_key: Orchard) -> None:
    send(of_a_key, "fb", apples(20, seed=3, edge=0.5, high=0.4))
    send(of_a_key, "fb", apples(40, seed=4, edge=0.0, low=DIFFERENT[0], high=DIFFERENT[1]))
    verdict, told, production = looked(of_a_key)
    assert (verdict, production) == ("held", 2)
    assert "rests on one source, 'fb' (the two differ on " in told


@pytest.mark.slow
def test_honest_labels_beside_lies_of_another_key_need_not_differ(of_a_key: Orchard) -> None:
    send(of_a_key, "fb", apples(30, seed=3, edge=0.8, high=0.4))
    send(of_a_key, "mallory", apples(40, seed=4, edge=0.0, low=DIFFERENT[0], high=DIFFERENT[1]))
    verdict, told, production = looked(of_a_key)
    assert (verdict, production) == ("held", 2)
    assert "rests on one source, 'mallory'" in told
