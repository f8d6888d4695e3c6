"""Packages that are not installed are looked for once."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from flows.warm.freshness import stamps
from models.absent_packages import OF_MLFLOW, note_absent
from models.production.registry import Registry


def test_what_is_not_installed_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json", json)
    names = ("no_such_package", "json", "tomllib")
    monkeypatch.delitem(sys.modules, "tomllib", raising=False)
    monkeypatch.setitem(sys.modules, "no_such_package", None)  # taken away again in the end
    del sys.modules["no_such_package"]
    note_absent(names)
    assert sys.modules["no_such_package"] is None
    assert sys.modules["json"] is json
    assert "tomllib" not in sys.modules, "it is installed, and imported when it is needed"
    with pytest.raises(ImportError):
        importlib.import_module("no_such_package")
    assert stamps(), "modules that are none have no file"


def test_what_is_looked_for_is_what_mlflow_asks_for() -> None:
    from mlflow.utils import databricks_utils

    source = Path(databricks_utils.__file__).read_text(encoding="utf-8")
    assert all(source.count(f"from {name}") > 1 for name in OF_MLFLOW)


def test_whoever_asks_the_registry_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_MLFLOW:
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    Registry("http://127.0.0.1:1")._client()
    assert [sys.modules.get(name, "not noted") for name in OF_MLFLOW] == [None]
