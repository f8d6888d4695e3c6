"""What MLflow is told: pictures, in which names of classes are texts, and parameters."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest

from flows.retrain.tracking import _params, draw_confusion
from models.versions.artifact import Lineage, Manifest, MemberManifest


@pytest.mark.parametrize("name", ["$\\frac$", "5$ to 10$", "\\$x$_{", "a\nb\x1b[2J"])
def test_what_stands_between_dollars_is_no_formula(name: str) -> None:
    figure = draw_confusion(np.eye(2, dtype=np.int64), [name, "b"], "full: judged rows")
    figure.savefig(io.BytesIO())
    shown = figure.axes[0].get_xticklabels()[0].get_text().replace("\\$", "$")
    assert shown == name.replace("\n", "\\n").replace("\x1b", "\\x1b")


def manifest(*members: MemberManifest) -> Manifest:
    return Manifest(
        format=3, use_case="any", kind="tabular", task="binary", classes=("no", "yes"), positive="yes",
        challenger="blend", fit="full", estimator="catboost", params={"depth": 3}, members=members, seed=7,
        rows=240, notes=(), runtime="onnx", input_shape=(4,), parity=None, lineage=Lineage(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC), files={},
    )  # fmt: skip


def test_members_of_a_blend_are_a_parameter() -> None:
    members = (
        MemberManifest(name="full", weight=0.6153846, rows=240),
        MemberManifest(name="newest_8", weight=0.3846154, rows=160, window=8),
        MemberManifest(name="newest_1", weight=0, rows=80, window=1),
    )
    params = {param.key: param.value for param in _params(manifest(*members))}
    assert params["members"] == "full 0.62, newest_8 0.38, newest_1 0"
    assert (params["estimator"], params["depth"]) == ("catboost", "3")
    assert "members" not in {param.key for param in _params(manifest())}
