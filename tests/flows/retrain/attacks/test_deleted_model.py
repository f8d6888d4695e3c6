"""The registered model deleted in MLflow, which then counts from 1: the number that serves stays."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from models.versions.artifact import file_digest
from tests.flows.retrain.attacks.test_label_sources import EDGE, true_accuracy
from tests.flows.retrain.turns import Orchard
from tests.mlflow_servers import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def orchard(empty_orchard: Orchard, mlflow_server: Server) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good; its model is deleted."""
    made = empty_orchard
    made.take_in(400, edge=EDGE)
    assert made.retrain().outcome == "promoted"
    MlflowClient(mlflow_server.uri, mlflow_server.uri).delete_registered_model(made.name)
    return made


def test_a_challenger_does_not_take_the_number_and_the_place_of_what_serves(orchard: Orchard) -> None:
    manifest = orchard.kept(1) / "manifest.json"
    before, right = file_digest(manifest), true_accuracy(orchard)
    orchard.take_in(200, edge=EDGE, seed=3, random_labels=True)
    turn = orchard.retrain()
    assert turn.outcome != "promoted"
    assert turn.version == 2
    assert file_digest(manifest) == before
    assert true_accuracy(orchard) == right
