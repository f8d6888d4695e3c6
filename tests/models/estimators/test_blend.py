from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.errors import CannotUpdate, TrainingStopped
from models.estimators.blend import Blend, Member, load_blend, make_blend, share_out
from models.estimators.blend_graph import join_graphs
from models.estimators.boosted.estimator import Boosted
from models.estimators.contract import Exportable
from models.estimators.fit_watch import SilentWatch
from models.estimators.logistic import Logistic
from models.versions.artifact import MemberManifest
from models.versions.export import export_model
from models.versions.runtime import open_onnx

TREES = {"iterations": 8, "depth": 2, "learning_rate": 0.3, "update_iterations": 2}


def rows_of(seed: int, classes: tuple[int, ...] = (0, 1, 2), rows: int = 90) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.array(classes, dtype=np.int64)[np.arange(rows) % len(classes)]
    return random.normal(y[:, np.newaxis], 0.7, (rows, 4)).astype(np.float32), y


X, _ = rows_of(9)
LIFTING = {"a": 14, "b": 6, "c": 1}
"""Weights that come to more than 1 as 32 bits."""


def trees(seed: int, classes: tuple[int, ...] = (0, 1, 2), **params: object) -> Boosted:
    model = Boosted({**TREES, **params})
    x, y = rows_of(seed, classes)
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    return model


def blend_of(*weights: float) -> Blend:
    names = ("full", "newest_3", "newest_1")
    return make_blend(
        [Member(names[place], weight, 90, trees(place)) for place, weight in enumerate(weights)]
    )


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        (None, (1, 0, 0)),
        ({}, (1, 0, 0)),
        ({"another": 1.0}, (1, 0, 0)),
        ({"a": 0.0, "b": 0.0}, (1, 0, 0)),
        ({"a": 0.5, "b": 0.3, "c": 0.2}, (0.5, 0.3, 0.2)),
        ({"a": 5, "b": 3, "c": 2}, (0.5, 0.3, 0.2)),
        ({"a": 0.5, "b": 0.3, "left_out": 0.2}, (0.625, 0.375, 0)),
        ({"b": 0.7}, (0, 1, 0)),
        ({"a": 0.5, "b": 0.485, "c": 0.015}, (0.5 / 0.985, 0.485 / 0.985, 0)),
        ({"a": 0.5, "b": 0.48, "c": 0.02}, (0.5, 0.48, 0.02)),
    ],
)
def test_weights_come_to_one_and_the_lightest_to_nothing(
    weights: Mapping[str, float] | None, shares: tuple[float, ...]
) -> None:
    assert share_out(("a", "b", "c"), weights) == pytest.approx(shares)
    assert sum(share_out(("a", "b", "c"), weights)) == pytest.approx(1)


def test_a_member_without_weight_is_not_asked() -> None:
    class Silent(Boosted):
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            raise AssertionError(f"asked about {len(x)} rows")

    first = trees(0)
    blend = make_blend([Member("full", 1, 90, first), Member("newest_1", 0, 90, Silent(TREES))])
    np.testing.assert_array_equal(blend.predict_proba(X), first.predict_proba(X))


def test_the_answer_is_the_weighted_mean() -> None:
    blend = blend_of(0.5, 0.3, 0.2)
    answers = [member.estimator.predict_proba(X) for member in blend.members]
    mean = 0.5 * answers[0] + 0.3 * answers[1] + 0.2 * answers[2]
    np.testing.assert_allclose(blend.predict_proba(X), mean, atol=1e-6)
    assert blend.predict_proba(X).dtype == np.float32
    assert blend.predict_proba(X[:0]).shape == (0, 3)


def test_rounding_never_lifts_an_answer_above_one() -> None:
    class Certain(Boosted):
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.ones((len(x), 3), np.float32)

    shares = share_out("abc", LIFTING)
    assert np.sum(np.array(shares, np.float32), dtype=np.float32) > 1
    blend = make_blend([Member(str(place), share, 90, Certain(TREES)) for place, share in enumerate(shares)])
    assert (blend.predict_proba(X) == 1).all()


def test_rounding_never_lifts_an_answer_of_the_graph_above_one(tmp_path: Path) -> None:
    shape = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ["N", 4])
    ends = [onnx.helper.make_value_info(name, shape) for name in ("in", "out")]
    node = onnx.helper.make_node("Identity", ["in"], ["out"])
    graph = onnx.helper.make_graph([node], "same", ends[:1], ends[1:])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8),
        tmp_path / "same.onnx",
    )
    shares = dict(zip("abc", share_out("abc", LIFTING), strict=True))
    join_graphs([(name, share, tmp_path / "same.onnx") for name, share in shares.items()], tmp_path / "mean")
    ones = np.ones((5, 4), np.float32)
    assert (open_onnx(tmp_path / "mean")(ones) == 1).all()


def test_one_graph_answers_as_the_members_do(tmp_path: Path) -> None:
    blend = blend_of(0.5, 0.0, 0.5)
    parity = export_model(blend, tmp_path / "model.onnx", X)
    assert parity is not None
    assert parity.max_difference < 1e-5
    graph = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    assert [len(graph.graph.input), len(graph.graph.output)] == [1, 1]
    assert [node.op_type for node in graph.graph.node].count("TreeEnsembleClassifier") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    answers = open_onnx(tmp_path / "model.onnx")(X)
    assert answers.shape == (90, 3)
    assert answers.dtype == np.float32


def test_members_of_other_classes_share_a_graph(tmp_path: Path) -> None:
    members = [Member("full", 0.5, 90, trees(0)), Member("newest_1", 0.5, 90, trees(1, classes=(0, 2)))]
    parity = export_model(make_blend(members), tmp_path / "model.onnx", X)
    assert parity is not None
    assert parity.max_difference < 1e-5


def test_the_graph_of_a_single_member_is_its_own(tmp_path: Path) -> None:
    blend = blend_of(0.0, 1.0, 0.0)
    export_model(blend, tmp_path / "blend.onnx", X)
    export_model(blend.members[1].estimator, tmp_path / "own.onnx", X)
    assert (tmp_path / "blend.onnx").read_bytes() == (tmp_path / "own.onnx").read_bytes()


def test_what_is_saved_is_loaded_members_without_weight_too(tmp_path: Path) -> None:
    blend = blend_of(0.6, 0.4, 0.0)
    blend.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "newest_1", "newest_3"]
    described = [
        MemberManifest(name=one.name, weight=one.weight, rows=one.rows, window=one.window)
        for one in blend.members
    ]
    loaded = load_blend(tmp_path, "catboost", TREES, described)
    assert isinstance(loaded, Exportable)
    assert [(one.name, one.weight, one.rows) for one in loaded.members] == [
        ("full", 0.6, 90), ("newest_3", 0.4, 90), ("newest_1", 0.0, 90)
    ]  # fmt: skip
    np.testing.assert_array_equal(loaded.predict_proba(X), blend.predict_proba(X))
    for one, other in zip(loaded.members, blend.members, strict=True):
        np.testing.assert_array_equal(one.estimator.predict_proba(X), other.estimator.predict_proba(X))


def test_every_member_learns_further_rows_and_the_first_tells() -> None:
    class Counting(SilentWatch):
        epochs = 0

        def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
            self.epochs += 1

    blend = blend_of(0.5, 0.5, 0.0)
    before = [member.estimator.predict_proba(X) for member in blend.members]
    watch = Counting()
    blend.update(*rows_of(5), seed=1, watch=watch)
    for member, old in zip(blend.members, before, strict=True):
        assert np.abs(member.estimator.predict_proba(X) - old).max() > 1e-4
    assert [(member.weight, member.rows) for member in blend.members] == [(0.5, 180), (0.5, 180), (0.0, 180)]
    assert watch.epochs == TREES["update_iterations"]
    assert blend.notes == ()


def test_an_update_of_any_member_may_be_stopped() -> None:
    class Stops(SilentWatch):
        asked = 0

        def should_stop(self) -> bool:
            self.asked += 1
            return self.asked > TREES["update_iterations"]

    watch = Stops()
    with pytest.raises(TrainingStopped):
        blend_of(0.5, 0.5).update(*rows_of(5), seed=1, watch=watch)
    assert watch.asked == TREES["update_iterations"] + 1


def test_a_member_that_lacks_a_class_stays_as_it_is_and_says_so() -> None:
    narrow = trees(1, classes=(0, 2))
    blend = make_blend([Member("full", 0.5, 90, trees(0)), Member("newest_1", 0.5, 80, narrow)])
    old = narrow.predict_proba(X)
    blend.update(*rows_of(5), seed=1, watch=SilentWatch())
    np.testing.assert_array_equal(blend.members[1].estimator.predict_proba(X), old)
    assert [member.rows for member in blend.members] == [180, 80]
    assert len(blend.notes) == 1
    assert "member newest_1 has not learned these rows" in blend.notes[0]
    assert "no place for class number 1" in blend.notes[0]


def test_what_the_first_member_cannot_learn_the_blend_cannot() -> None:
    blend = make_blend(
        [Member("full", 0.5, 90, trees(0, classes=(0, 2))), Member("newest_1", 0.5, 80, trees(1))]
    )
    with pytest.raises(CannotUpdate, match="no place for class number 1"):
        blend.update(*rows_of(5), seed=1, watch=SilentWatch())


def test_a_blend_has_the_powers_of_its_members(tmp_path: Path) -> None:
    members = []
    for place, name in enumerate(("full", "newest_1")):
        model = Logistic({})
        model.fit(*rows_of(place), n_classes=3, seed=1, watch=SilentWatch())
        members.append(Member(name, 0.5, 90, model))
    blend = make_blend(members)
    assert not isinstance(blend, Exportable)
    assert export_model(blend, tmp_path / "model.onnx", X) is None
    with pytest.raises(CannotUpdate, match="estimator logistic has no update"):
        blend.update(*rows_of(5), seed=1, watch=SilentWatch())


def test_notes_say_whose_they_are() -> None:
    loud = Boosted({**TREES, "smote": True})
    x, y = rows_of(1)
    kept = np.flatnonzero((y != 1) | (np.arange(len(y)) < 9))
    loud.fit(x[kept], y[kept], n_classes=3, seed=1, watch=SilentWatch())
    blend = make_blend([Member("full", 0.5, 90, trees(0)), Member("newest_1", 0.5, 60, loud)])
    assert blend.notes == ("newest_1: SMOTE skipped for class number 1: it has 3 rows and needs more than 5",)
