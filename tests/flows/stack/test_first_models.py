"""First models: what one use case lacks keeps no other from being trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.settings import read_settings
from features.errors import SourceError
from flows.stack import first_models


def test_one_that_cannot_be_trained_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "digits,papers,plans"})
    trained = []

    def retrain(_settings: Any, name: str, **_more: Any) -> dict[str, Any]:
        trained.append(name)
        if name == "papers":
            raise SourceError("the data set could not be downloaded")
        return {"outcome": "promoted", "reason": "there is no production yet"}

    monkeypatch.setattr(first_models, "without_production", lambda given: list(given.use_cases))
    monkeypatch.setattr(first_models, "retrain_now", retrain)
    results = first_models.ensure_first_models(settings)
    assert trained == ["digits", "papers", "plans"]
    assert results["papers"] == {"outcome": "failed", "reason": "the data set could not be downloaded"}
    assert results["plans"]["outcome"] == "promoted"
