"""Whatever a class of another package does where it is looked at becomes one sentence that names it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loading import parse_use_case
from configs.settings import read_settings
from flows.doctor import examine
from models.laws.configured import model_problem
from tests.configs.test_combinations import describe

OWN = """
class Base:
    kinds = ("tabular",)
    def __init__(self, params): pass
    def fit(self, x, y, **how): pass
    def predict_proba(self, x): pass
    def save(self, directory): pass
    @classmethod
    def load(cls, directory, params): return cls(params)
"""
LIKE_SKLEARN = """
from sklearn.base import BaseEstimator, ClassifierMixin
class Base(ClassifierMixin, BaseEstimator):
    def fit(self, X, y): return self
    def predict_proba(self, X): pass
"""
MADE = "class X(Base):\n"
BOTH = {
    "raises": ("raise RuntimeError('boom')", "raises RuntimeError: boom"),
    "no_python": ("def x(:", "raises SyntaxError: invalid syntax"),
    "exits": ("import sys; sys.exit(3)", "ends the process by sys.exit(3)"),
    "lazy": ("def __getattr__(name): raise ImportError('lazy gone')", "lazy gone"),
    "no_words": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "raises Odd",
    ),
    "init_raises": (
        MADE + "    def __init__(self, params=None): raise KeyError('no')",
        "raises KeyError",
    ),
    "init_exits": (MADE + "    def __init__(self, params=None): raise SystemExit(4)", "by sys.exit(4)"),
    "meta": (
        "class M(type(Base)):\n"
        "    def __getattribute__(c, n):\n"
        "        if n == 'fit': raise LookupError('meta')\n"
        "        return super().__getattribute__(n)\n"
        "class X(Base, metaclass=M): pass",
        "raises LookupError: meta",
    ),
    "called": (
        "class M(type(Base)):\n    def __call__(c, *a, **k): raise RuntimeError('not to be made')\n"
        "class X(Base, metaclass=M): pass",
        "raises RuntimeError: not to be made",
    ),
}
OF_OWN = {
    "refusal_raises": (
        MADE + "    def refusal(self, *a): raise RuntimeError('who')",
        "raises RuntimeError",
    ),
    "refusal_number": (
        MADE + "    def refusal(self, *a): return 5",
        "gives 5; allowed: a sentence, or None",
    ),
    "kinds_number": (MADE + "    kinds = 5", "its kinds are 5; allowed: a tuple of some of tabular"),
    "kinds_text": (MADE + "    kinds = 'tabular'", "its kinds are 'tabular'"),
    "kinds_unknown": (
        MADE + "    kinds = ('tabular', 'audio')",
        "its kinds are ('tabular', 'audio')",
    ),
    "no_subclass": (
        MADE + "    def __init_subclass__(cls): raise TypeError('final')",
        "raises TypeError: final",
    ),
    "warm": (
        MADE + "    @property\n    def native_tables(self): raise OSError('disk')\n"
        "    def take_categories(self, columns): pass",
        "raises OSError: disk",
    ),
}
CASES = [
    *((name, "own", OWN + source, told) for name, (source, told) in {**BOTH, **OF_OWN}.items()),
    *((name, "sklearn", LIKE_SKLEARN + source, told) for name, (source, told) in BOTH.items()),
]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("liar_"):
            del sys.modules[name]


def use_case(name: str, way: str, **features: Any) -> dict[str, Any]:
    model: dict[str, Any] = {"estimator": f"liar_{name}_{way}:X"}
    if way == "sklearn":
        model = {"estimator": "sklearn", "params": {"class": f"liar_{name}_{way}.X"}}
    return describe("tabular", "sklearn", "multiclass", model=model, features=features)


@pytest.mark.parametrize(
    ("name", "way", "source", "told"), CASES, ids=[f"{one[1]}:{one[0]}" for one in CASES]
)
def test_what_it_raises_is_told_in_a_sentence_that_names_it(
    packages: Path, name: str, way: str, source: str, told: str
) -> None:
    (packages / f"liar_{name}_{way}.py").write_text(source, encoding="utf-8")
    raw = use_case(name, way)
    if name == "warm":
        raw["features"] = {"tabular": {"encoding": "native"}}
    problem = model_problem(parse_use_case(raw, source=Path("any.yaml")))
    assert problem is not None
    assert told in problem
    assert f"liar_{name}_{way}" in problem
    assert "\n" not in problem
    assert problem.startswith("model.")


def test_doctor_goes_on_where_a_class_ends_the_process(packages: Path, tmp_path: Path) -> None:
    (packages / "liar_exits_own.py").write_text("import sys; sys.exit(3)", encoding="utf-8")
    folder = tmp_path / "configs"
    folder.mkdir()
    raw = use_case("exits", "own")
    (folder / f"{raw['name']}.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_CONFIGS": str(folder),
            "RATCHET_USE_CASES": raw["name"],
        }
    )
    findings = {finding.what: finding for finding in examine(settings)}
    assert not findings["use cases"].ok
    assert "ends the process by sys.exit(3)" in findings["use cases"].found
    assert "home" in findings  # it went on
