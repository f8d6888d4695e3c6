"""A version that blends several models, as it serves."""

from __future__ import annotations

import numpy as np
import pytest

from features.encoders.contract import fit_encoder
from models.estimators.blend import Member, make_blend
from models.estimators.fit_watch import SilentWatch
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import write_artifact
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.tiny import CREATED, OneLayer, classes_of, example_columns

SERVED = ("plans",)

PLANS = USE_CASES["plans"]


@pytest.fixture
def blending(start_service: StartService, registry: FolderRegistry) -> Service:
    """A worker whose version holds three models, two of which are asked."""
    columns, classes = example_columns(PLANS, 4), classes_of(PLANS)
    encoder = fit_encoder(PLANS, columns)
    x, members = encoder.encode(columns), []
    for seed, (name, weight, window) in enumerate(
        (("full", 0.75, None), ("newest_3", 0.0, 3), ("newest_1", 0.25, 1))
    ):
        layer = OneLayer({})
        layer.fit(x, np.zeros(4, np.int64), n_classes=len(classes), seed=seed, watch=SilentWatch())
        members.append(Member(name, weight, 4 - seed, layer, window))
    fitted = FittedModel("blend", "full", encoder, make_blend(members), classes, {}, 0, 4, ())
    folder = registry.folder / "plans" / "1"
    folder.parent.mkdir(parents=True)
    write_artifact(folder, fitted, PLANS, columns, lineage=Lineage(), created_at=CREATED)
    registry.production["plans"] = 1
    service = start_service(RATCHET_USE_CASES="plans")
    service.expected = fitted.estimator.predict_proba(x[:1])[0]  # type: ignore[attr-defined]
    return service


def test_members_are_told_with_the_model(blending: Service) -> None:
    told = blending.get("/v1/plans/model").json()
    assert (told["challenger"], told["estimator"], told["runtime"]) == ("blend", "one_layer", "onnx")
    assert told["members"] == [
        {"name": "full", "weight": 0.75, "rows": 4, "window": None},
        {"name": "newest_3", "weight": 0.0, "rows": 3, "window": 3},
        {"name": "newest_1", "weight": 0.25, "rows": 2, "window": 1},
    ]


def test_it_answers_by_their_mean(blending: Service) -> None:
    body = {"records": [record_of(PLANS)]}
    (answer,) = blending.post("/v1/plans/predict", body).json()["predictions"]
    scores = [answer["scores"][name] for name in classes_of(PLANS)]
    np.testing.assert_allclose(scores, blending.expected, atol=1e-5)  # type: ignore[attr-defined]


def test_one_that_is_no_blend_has_no_members(service: Service) -> None:
    assert service.get("/v1/plans/model").json()["members"] == []
