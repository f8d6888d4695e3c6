"""Links of a chain that name a challenger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError
from configs.loading import parse_use_case
from tests.configs.test_combinations import describe

FULL, OWN = {"name": "full"}, {"name": "own"}
TRAINED = {"name": "trained", "alias": "production"}


def chained(link: dict[str, Any], *challengers: dict[str, Any]) -> dict[str, Any]:
    pool = {"challengers": list(challengers)}
    return describe("text", "linear_text", chain={"links": [TRAINED, link]}, training=pool)


def test_a_challenger_that_a_link_names_is_no_candidate_for_production() -> None:
    raw = chained({"name": "meaning", "challenger": "own"}, FULL, OWN)
    use_case = parse_use_case(raw, source=Path("any.yaml"))
    assert [one.name for one in use_case.candidates] == ["full"]
    assert [one.name for one in use_case.link_challengers] == ["own"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            chained({"name": "meaning", "challenger": "owm"}, FULL, OWN),
            r"chain.links\[1\].challenger: got 'owm'; allowed: full, own",
        ),
        (
            chained({"name": "meaning", "challenger": "own"}, FULL, OWN | {"fit": "warm"}),
            r"chain.links\[1\].challenger: got 'own', with fit warm; allowed: one with fit full",
        ),
        (
            chained({"name": "meaning", "challenger": "own"}, OWN),
            "all with `fit: full` are made for links of the chain",
        ),
        (
            chained({"name": "meaning", "challenger": "own", "taxonomy": True}, FULL, OWN),
            "needs exactly one of `alias`, `use_case`, `challenger`, `keywords`, `taxonomy`",
        ),
    ],
)
def test_what_cannot_work_is_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_use_case(raw, source=Path("any.yaml"))
