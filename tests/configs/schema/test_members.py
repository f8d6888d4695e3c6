"""Which members a challenger may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.schema import POOL, ChallengerConfig, TrainingConfig

TWO = [{"name": "full"}, {"name": "new", "window": 3}]


def challenger(**parts: Any) -> ChallengerConfig:
    return ChallengerConfig.model_validate({"name": "blend", "members": TWO} | parts)


def test_members_are_all_rows_and_windows() -> None:
    members = challenger().members
    assert [(one.name, one.window) for one in members] == [("full", None), ("new", 3)]
    assert ChallengerConfig(name="full").members == ()


def test_the_pool_follows_what_changes_and_what_stays() -> None:
    assert [(one.name, one.window) for one in POOL.members] == [
        ("full", None), ("newest_8", 8), ("newest_3", 3), ("newest_1", 1)
    ]  # fmt: skip
    assert challenger(**POOL.model_dump()) == POOL
    assert TrainingConfig().challengers == (POOL,)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"fit": "warm"}, "allowed with `fit: full` only"),
        ({"window": 500}, "not allowed beside `window: 500`; give members windows"),
        ({"members": TWO[:1]}, "got only 'full'; name at least 2"),
        ({"members": [*TWO, TWO[1]]}, r"they repeat a name: \['full', 'new', 'new'\]"),
        (
            {"members": TWO[::-1]},
            r"the first, and no other, must be without `window`; without are \['full'\]",
        ),
        ({"members": [*TWO, {"name": "all"}]}, r"no other, .* without are \['full', 'all'\]"),
        (
            {"members": [{"name": "a", "window": 2}, {"name": "b", "window": 1}]},
            "must be without `window`; without are none",
        ),
        ({"members": [TWO[0], {"name": "new", "window": 0}]}, "greater than 0"),
        ({"members": [TWO[0], {"name": "../new", "window": 1}]}, "should match pattern"),
        ({"members": [TWO[0], {"name": "new", "window": 1, "params": {}}]}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_blended_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        challenger(**parts)


def test_a_file_with_such_members_is_refused_by_its_name() -> None:
    raw = {
        "name": "any",
        "title": "Any",
        "kind": "tabular",
        "record": {"fields": [{"name": "size", "type": "number"}]},
        "target": {"task": "binary"},
        "model": {"estimator": "logistic"},
        "training": {"challengers": [{"name": "blend", "members": TWO[:1]}]},
    }
    with pytest.raises(ConfigError, match=r"any\.yaml: .*members of challenger 'blend': got only 'full'"):
        parse_use_case(raw, source=Path("any.yaml"))
