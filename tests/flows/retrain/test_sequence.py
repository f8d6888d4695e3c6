"""What a retrain finds to do, once it holds the run."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from flows.retrain.idle import nothing_new
from flows.retrain.production import NO_PRODUCTION
from models.production.contract import Version
from store.snapshots.index import Snapshot

FIRST = replace(NO_PRODUCTION, version=Version("plans", 1, "", {}, (), 0))
ANY = cast(Snapshot, None)
"""Which rows there are says nothing of whether a first model is missing."""


def test_who_comes_second_finds_the_first_model_made() -> None:
    assert nothing_new("retrain", "first_model", NO_PRODUCTION, ANY) is None
    told = nothing_new("retrain", "first_model", FIRST, ANY)
    assert told == "no first model is missing any more: version 1 is production"


@pytest.mark.parametrize("trigger", ["person", "labels"])
def test_other_retrains_go_on_where_there_is_production(trigger: str) -> None:
    assert nothing_new("retrain", trigger, FIRST, ANY) is None
