"""What takes a version back rests on no single source, unless that is who usually sends labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from configs.schema import FieldConfig, LabelsConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from models.gate.sources import JudgedSources
from models.probation.sources import PairRows, carrying_source

USE_CASE = UseCase(
    name="u",
    title="U",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
    target=TargetConfig(task="binary", classes=("0", "1")),
    model=ModelConfig(estimator="logistic"),
)
SELDOM = np.array([True] * 100 + [False] * 900)
"""The two differ on a tenth of what is asked."""
Told = Sequence[tuple[str, Sequence[int]]]
"""Sources, and by each of their labels whether the version did worse (1), better (-1) or as well (0)."""


def world(worse: int, better: int, same: int) -> list[int]:
    """Labels of records as they come, in turn."""
    values = [1] * worse + [-1] * better + [0] * same
    return [int(one) for one in np.random.default_rng(3).permutation(values)]


def carried(
    told: Told,
    learned: Mapping[str, int],
    *,
    newest: Mapping[str, int] | None = None,
    asked: np.ndarray = SELDOM,
    use_case: UseCase = USE_CASE,
    trusted: Sequence[str] = (),
) -> str | None:
    losses = np.array([one for _, values in told for one in values], dtype=np.float64)
    names = [name for name, values in told for _ in values]
    sources = JudgedSources(names, trusted, learned)
    pair = PairRows(losses, losses >= 0, losses != 0, sources, learned if newest is None else newest, asked)
    return carrying_source(use_case, pair)


LIES = [1] * 40
TURNED = world(24, 0, 216)
"""A tenth of the answers has become wrong."""
FILES = {"file": 1_800}


@pytest.mark.parametrize("learned", [FILES, {"inbox": 1_800}, {"earlier": 1_800}, {"open": 9}, {"fb": 1_800}])
@pytest.mark.parametrize("honest", [0, 8, 30, 300])
def test_a_key_that_is_new_takes_nothing_back(learned: dict[str, int], honest: int) -> None:
    told = carried([("fb", [0] * honest), ("mallory", LIES)], learned)
    assert told is not None
    assert told.startswith("what speaks against it rests on one source, 'mallory' (")
    assert "`ratchet sources release u mallory` or `ratchet sources hold u mallory`" in told


def test_neither_does_one_that_labels_all_that_comes() -> None:
    told = carried([("fb", [0] * 8), ("mallory", TURNED)], FILES)
    assert told is not None
    assert "(0 of the 1,800 labels that it could learn from are of that source)" in told


def test_names_that_a_key_makes_up_are_one_source() -> None:
    told = carried([("fb", [0] * 8), *((f"mallory/{one}", [1]) for one in range(40))], FILES)
    assert told is not None
    assert "rests on one source, 'mallory'" in told


def test_one_is_found_among_many_that_send_more() -> None:
    many = [(f"key{number:02}", [0] * 50) for number in range(30)]
    told = carried([*many, ("mallory", LIES)], {name: 60 for name, _ in many})
    assert told is not None
    assert "rests on one source, 'mallory'" in told


@pytest.mark.parametrize(
    ("who", "learned", "newest"),
    [
        ("fb", {"fb": 1_800}, None),
        ("file", {"file": 1_800}, None),
        ("fb", {"file": 1_800, "fb": 300}, {"fb": 300}),
        ("open", {"file": 1_800}, None),
        ("file", {"inbox": 1_800}, None),
        ("file", {"file": 1_800, "fb": 300}, {"fb": 300}),
    ],
    ids=["one key", "files", "a file, then a key", "files, then the open door", "files, otherwise", "both"],
)
def test_who_usually_sends_labels_tells_of_a_world_that_has_turned(
    who: str, learned: dict[str, int], newest: dict[str, int] | None
) -> None:
    assert carried([(who, TURNED)], learned, newest=newest) is None
    mixed = carried([("other", [0] * 8), (who, TURNED)], learned, newest=newest)
    assert mixed is None, "a few others do not silence it"


def test_a_few_of_the_newest_labels_make_nobody_usual() -> None:
    told = carried([("mallory", TURNED)], {"file": 1_800, "mallory": 49}, newest={"mallory": 49})
    assert told is not None
    assert "49 of the 1,849 labels" in told
    assert carried([("fb", TURNED)], {"file": 1_800, "fb": 50}, newest={"fb": 50}) is None


def test_who_usually_sends_labels_may_not_choose_them() -> None:
    learned = {"file": 1_800, "fb": 300}
    told = carried([("fb", LIES)], learned, newest={"fb": 300})
    assert told is not None
    assert "(the two differ on 100% of its records and 10% of those asked lately)" in told
    door = carried([("open", LIES)], FILES)
    assert door is not None
    assert "the two differ on 100%" in door
    often = np.ones(200, dtype=np.bool_)
    assert carried([("fb", LIES)], learned, newest={"fb": 300}, asked=often) is None
    assert carried([("fb", LIES)], {"fb": 300}) is None, "nobody else has ever labelled anything"


@pytest.mark.parametrize("others", [[0] * 30, world(11, 9, 184)], ids=["nothing of it", "as often otherwise"])
def test_who_stands_apart_from_the_others_takes_nothing_back(others: list[int]) -> None:
    learned = {"file": 1_800, "fb": 300, "shop": 100}
    told = carried(
        [("shop", others), ("fb", world(40, 0, 160))], learned, newest={"fb": 300}, asked=SELDOM[:0]
    )
    assert told is not None
    assert "by its 200 labels it is worse on 40 and better on 0, by the" in told


def test_by_the_labels_of_the_others_it_is_better() -> None:
    learned = {"file": 1_800, "fb": 300}
    told = carried([("shop", world(0, 2, 18)), ("fb", TURNED)], learned, newest={"fb": 300})
    assert told is not None
    assert "by the labels of the others it is better" in told


def test_what_all_tell_rests_on_none() -> None:
    each = world(12, 1, 107)
    three = {"a": 100, "b": 100, "c": 100}
    assert carried([(name, each) for name in three], FILES | three, newest=three) is None
    some = world(3, 0, 27)
    assert carried([(name, some) for name in three], FILES | three, newest=three) is None, (
        "not yet without one"
    )
    assert carried([(name, some) for name in three], FILES | {"a": 300}, newest={"a": 300}) is not None


def test_a_person_has_looked_or_nobody_asks() -> None:
    told: Told = [("fb", [0] * 8), ("mallory", LIES)]
    assert carried(told, FILES, trusted=["mallory"]) is None
    off = USE_CASE.model_copy(update={"labels": LabelsConfig(most_loss=None)})
    assert carried(told, FILES, use_case=off) is None
