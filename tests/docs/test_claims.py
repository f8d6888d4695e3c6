"""What does happen is nowhere said never to: 7% of worlds without change have a harmful promotion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PLACES = ("README.md", "pyproject.toml", "docs", "configs", "features", "store", "models", "flows", "service")
KINDS = {".md", ".py", ".js", ".html", ".yaml", ".json", ".toml"}
CLAIM = re.compile(
    r"never\s+(lets?\s+\w+\s+)?(gets?|getting|become|becomes)\s+worse|cannot\s+get\s+worse", re.I
)


def files(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.is_file() else [one for one in sorted(path.rglob("*")) if one.suffix in KINDS]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_claims_that_it_never_gets_worse(place: str) -> None:
    texts = files(place)
    assert texts
    assert [one.name for one in texts if CLAIM.search(one.read_text(encoding="utf-8"))] == []


def test_the_claim_is_known_by_its_words() -> None:
    assert CLAIM.search("and never lets them\nget worse.")
    assert not CLAIM.search("guards them against getting worse")
