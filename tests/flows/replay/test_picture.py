"""The picture of a replay: whatever a policy's file is called, it is drawn and named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.replay.playing import Played
from flows.replay.results.picture import draw

PLAYED = Played(
    accuracy=0.5,
    by_period=(0.25, 0.75),
    promoted_at=(1,),
    worse=0,
    harmful=0,
    harm=(),
    retrains=1,
    rollbacks=0,
    fit_seconds=1.0,
    seconds=1.0,
)


@pytest.mark.parametrize("name", ["always_full", "from_$5_to_$10", "a$_$", "_draft"])
def test_a_policy_of_any_name_is_drawn_and_named(name: str, tmp_path: Path) -> None:
    plan = SimpleNamespace(use_case=SimpleNamespace(name="tides"), periods=SimpleNamespace(played=range(2)))
    outcome: Any = SimpleNamespace(played={"default": PLAYED, name: PLAYED}, plan=plan)
    draw(outcome, tmp_path / "replay.svg")
    # Names are written beside their glyphs, which a picture of this kind draws one by one.
    written = (tmp_path / "replay.svg").read_text(encoding="utf-8")
    assert f"<!-- {name} 0.5000 -->" in written.replace("\\$", "$").replace("<!--  ", "<!-- ")
