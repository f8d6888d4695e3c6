"""Every estimator of ours keeps the laws, `estimator:kind:law`, and each law is broken by a class made to
break it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from configs.combinations import ABILITIES
from models.errors import EstimatorUnavailable, TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import SilentWatch, Watch
from models.laws.laws import LAWS
from models.laws.report import Finding, hold_to_laws, look_at
from models.laws.subject import Subject
from tests.contract.generate import TINY_PARAMS
from tests.models.estimators.scikit.rows import LIGHTGBM, XGBOOST, named

SPECS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{
        f"{name}:{kind}": (name, kind, TINY_PARAMS[name])
        for name, able in ABILITIES.items()
        for kind in able.kinds[:2]
        if name != "sklearn"
    },
    "forest:tabular": ("sklearn", "tabular", TINY_PARAMS["sklearn"]),
    "forest:image": ("sklearn", "image", TINY_PARAMS["sklearn"]),
    "linear_svc:text": ("sklearn", "text", named("sklearn.svm.LinearSVC")),
    "sgd:tabular": ("sklearn", "tabular", named("sklearn.linear_model.SGDClassifier", loss="log_loss")),
    "lightgbm:tabular": ("sklearn", "tabular", LIGHTGBM),
    "xgb_classifier:tabular": ("sklearn", "tabular", XGBOOST),
}


@pytest.fixture(scope="session")
def subject_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    @cache
    def make(spec: str) -> Subject:
        name, kind, params = SPECS[spec]
        return Subject(name, kind, params, tmp_path_factory.mktemp("laws"))

    return make


def marked(spec: str, law: str) -> object:
    """Networks fit long: one kind of each is among the quick tests by its own laws (tests/contract/)."""
    marks = [pytest.mark.slow] if spec.startswith("keras") else []
    return pytest.param(spec, law, id=f"{spec}:{law}", marks=marks)


@pytest.mark.parametrize(("spec", "law"), [marked(spec, law) for spec in SPECS for law in LAWS])
def test_law(spec: str, law: str, subject_of: Callable[[str], Subject]) -> None:
    for package in ("lightgbm", "xgboost"):
        if spec.startswith(package):
            pytest.importorskip(package)
    finding = look_at(subject_of(spec), law)
    assert finding.state != "broken", finding.saw


@pytest.mark.parametrize("law", LAWS)
def test_each_law_is_for_some_estimator(law: str, subject_of: Callable[[str], Subject]) -> None:
    assert any(look_at(subject_of(spec), law).state == "kept" for spec in ("sgd:tabular", "linear_text:text"))


class Mean:
    """The nearest mean of a class: keeps every law."""

    kinds: ClassVar[tuple[str, ...]] = ("tabular",)

    def __init__(self, params: Mapping[str, Any]) -> None:
        if params:
            raise ValueError(f"unknown parameters: {', '.join(params)}")
        self.means = np.zeros((0, 0))

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:  # noqa: ARG002
        if watch.should_stop():
            raise TrainingStopped
        far = np.full(x.shape[1], 1e3)
        self.means = np.stack(
            [x[y == one].mean(axis=0) if (y == one).any() else far for one in range(n_classes)]
        )
        watch.epoch(1, 1, {})

    def predict_proba(self, x: Features) -> Any:
        distances = ((x[:, np.newaxis].astype(np.float64) - self.means) ** 2).sum(axis=2)
        shares = np.exp(distances.min(axis=1, keepdims=True) - distances)
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    def save(self, directory: Path) -> None:
        np.savez(directory / "means.npz", means=self.means)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = cls(params)
        with np.load(directory / "means.npz", allow_pickle=False) as file:
            loaded.means = file["means"]
        return loaded


class Unseeded(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **how)
        self.means = self.means + np.random.default_rng().normal(size=self.means.shape)


class Deaf(Mean):
    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        watch.should_stop()
        super().fit(x, y, n_classes=n_classes, seed=seed, watch=_Patient(watch))


class _Patient(SilentWatch):
    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def epoch(self, *told: Any) -> None:
        self.watch.epoch(*told)

    def should_stop(self) -> bool:
        return False


class Silent(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **{**how, "watch": _Mute(how["watch"])})


class _Mute(SilentWatch):
    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def should_stop(self) -> bool:
        return self.watch.should_stop()


class Neighbourly(Mean):
    def predict_proba(self, x: Features) -> Any:
        return super().predict_proba(x - x.mean(axis=0) if len(x) else x)


class Greedy(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        x -= x.mean(axis=0)
        super().fit(x, y, **how)


class Pickled(Mean):
    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory / "more.bin").write_bytes(pickle.dumps(self.means))


class Forgetful(Mean):
    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = super().load(directory, params)
        loaded.means = loaded.means[::-1]
        return loaded


class Compact(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **{**how, "n_classes": len(np.unique(y))})


class Tolerant(Mean):
    def __init__(self, params: Mapping[str, Any]) -> None:  # noqa: ARG002
        super().__init__({})


class Boastful(Mean):
    kinds: ClassVar[tuple[str, ...]] = ("tabular", "sounds")


class Loud(Mean):
    def predict_proba(self, x: Features) -> Any:
        return super().predict_proba(x) * 100


class Empty(Mean):
    def predict_proba(self, x: Features) -> Any:
        assert len(x)
        return super().predict_proba(x)


class Placed(Mean):
    def predict_proba(self, x: Features) -> Any:
        return super().predict_proba((x.T + np.arange(len(x)) / 50).T.astype(np.float32))


class Crowded(Mean):
    """Puts what it is asked about where all threads write."""

    def predict_proba(self, x: Features) -> Any:
        self.asked = getattr(self, "asked", 0) + 1
        mine = self.asked
        time.sleep(0.01)
        return super().predict_proba(x) if mine == self.asked else super().predict_proba(x[::-1])


class Wrong(Mean):
    def export_onnx(self, path: Path) -> None:
        halves = helper.make_tensor("half", TensorProto.FLOAT, [6, 3], [0.0] * 18)
        nodes = [helper.make_node("MatMul", ["x", "half"], ["y"])]
        ends = [helper.make_tensor_value_info(name, 1, ["N", size]) for name, size in (("x", 6), ("y", 3))]
        graph = helper.make_graph(nodes, "wrong", ends[:1], ends[1:], [halves])
        onnx.save(
            helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), str(path)
        )


class Stuck(Mean):
    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Learn nothing."""


class Manifold(Mean):
    multilabel: ClassVar[bool] = True


class OldPickle(Mean):
    """Of protocol 0, which is text."""

    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory / "w.bin").write_bytes(pickle.dumps(self.means, protocol=0))


class HiddenPickle(Mean):
    """Behind a byte that makes the file none."""

    def save(self, directory: Path) -> None:
        (directory / "w.bin").write_bytes(b"!" + pickle.dumps(self.means))

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        loaded = cls(params)
        loaded.means = pickle.loads((directory / "w.bin").read_bytes()[1:])
        return loaded


class Beside(Mean):
    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory.parent / "escape.txt").write_text("x")


class Elsewhere(Mean):
    """Writes where another version of it would."""

    def save(self, directory: Path) -> None:
        super().save(directory)
        place = directory.parent / "of-all"
        place.mkdir()
        (place / "x").write_text("x")
        (place / "x").unlink()
        place.rmdir()


class Counting(Mean):
    notes: ClassVar[Any] = 5


class Backwards(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **how)
        how["watch"].epoch(-5, 0, {"accuracy": float("nan")})


class Diverged(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **how)
        how["watch"].epoch(1, 1, {"loss": float("nan")})


class Wordy(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:
        super().fit(x, y, **how)
        how["watch"].epoch(1, 1, {"loss": "low"})


class Unwilling(Mean):
    def refusal(self, kind: str, task: str) -> Any:
        return f"it never learns {kind} for {task}"


class Numbering(Mean):
    def refusal(self, kind: str, task: str) -> Any:  # noqa: ARG002
        return 5


class Erring(Mean):
    def refusal(self, kind: str, task: str) -> Any:
        raise RuntimeError(f"who knows of {kind} and {task}")


class Leaving(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:  # noqa: ARG002
        raise SystemExit(3)


ALSO_BROKEN: list[tuple[str, type[Mean], str]] = [
    ("keeps_no_pickle", OldPickle, "w.bin is a pickle"),
    ("stays_in_its_folder", HiddenPickle, "load reads a pickle"),
    ("stays_in_its_folder", Elsewhere, "of-all"),
    ("learns", Backwards, "number -5 of 0"),
    ("learns", Diverged, "no finite number"),
    ("learns", Wordy, "'loss' with the value 'low'"),
    ("learns", Leaving, "ends the process by sys.exit"),
    ("takes_rows_of_its_kind", Numbering, "gives 5; allowed: a sentence, or None"),
    ("takes_rows_of_its_kind", Erring, "raises RuntimeError: who knows"),
]
BROKEN_BY: dict[str, type[Mean]] = {
    "takes_rows_of_its_kind": Unwilling,
    "stays_in_its_folder": Beside,
    "notes_are_sentences": Counting,
    "says_what_it_can": Boastful,
    "refuses_unknown_parameters": Tolerant,
    "learns": Silent,
    "answers_are_probabilities": Loud,
    "no_rows_get_no_answers": Empty,
    "the_same_seed_makes_the_same_model": Unseeded,
    "order_changes_no_answer": Placed,
    "threads_change_no_answer": Crowded,
    "its_export_agrees": Wrong,
    "batch_size_changes_no_answer": Neighbourly,
    "leaves_rows_as_they_are": Greedy,
    "save_and_load_agree": Forgetful,
    "keeps_no_pickle": Pickled,
    "stops_when_asked": Deaf,
    "a_class_without_rows_keeps_its_place": Compact,
    "goes_on_learning": Stuck,
    "learns_label_sets": Manifold,
}


def held(broken: type[Mean]) -> dict[str, Finding]:
    name = f"{__name__}:{broken.__name__}"
    return {one.law: one for one in hold_to_laws(name, "tabular", {})}


def test_a_class_that_says_next_to_nothing_keeps_them_all() -> None:
    states = {one.law: one.state for one in held(Mean).values()}
    without = {"takes_rows_of_its_kind", "its_export_agrees", "goes_on_learning", "learns_label_sets"}
    assert {law for law, state in states.items() if state == "not for this"} == without
    assert "broken" not in states.values()


@pytest.mark.parametrize("law", LAWS)
def test_each_law_is_broken_by_a_class_made_for_it(law: str) -> None:
    finding = held(BROKEN_BY[law])[law]
    assert finding.state == "broken"
    assert finding.saw
    assert finding.asks.endswith(".")


@pytest.mark.parametrize(("law", "broken", "saw"), ALSO_BROKEN)
def test_a_law_is_broken_in_other_ways_too(law: str, broken: type[Mean], saw: str) -> None:
    finding = held(broken)[law]
    assert finding.state == "broken"
    assert saw in finding.saw


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nopackage.models:Net", "package nopackage is not installed here"),
        (f"{__name__}:Men", "has no 'Men' .is 'Mean' meant"),
        (f"{__name__}:BROKEN_BY", "is no class that obeys models.estimators.contract"),
        (f"{__name__}:Finding", "it lacks fit, predict_proba, save, load"),
    ],
)
def test_what_is_no_estimator_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(EstimatorUnavailable, match=message):
        list(hold_to_laws(name, "tabular", {}))
