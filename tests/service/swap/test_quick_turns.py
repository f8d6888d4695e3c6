"""Threads take turns quickly while versions are loaded, and as ever afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models.versions.predictor import Predictor
from service.swap.quick_turns import QUICK_SECONDS, quick_turns
from tests.service.conftest import Service


def test_turns_are_quick_until_the_last_has_ended() -> None:
    usual = sys.getswitchinterval()
    first, second = quick_turns(), quick_turns()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(QUICK_SECONDS)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == usual


def test_they_are_usual_again_where_loading_fails() -> None:
    usual = sys.getswitchinterval()
    with pytest.raises(ValueError, match="broken"), quick_turns():
        raise ValueError("broken")
    assert sys.getswitchinterval() == usual


def test_a_version_is_loaded_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    intervals: list[float] = []
    load = Predictor.load

    def noting(directory: Path) -> Predictor:
        intervals.append(sys.getswitchinterval())
        return load(directory)

    monkeypatch.setattr(Predictor, "load", noting)
    service.worker.watcher._station.loader.predictor("digits", 1)
    assert intervals == [pytest.approx(QUICK_SECONDS)]
    assert sys.getswitchinterval() > QUICK_SECONDS
