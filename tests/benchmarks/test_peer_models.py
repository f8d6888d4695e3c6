"""The models of the other servers: the same answers as Ratchet's version of the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.hot_path.records import ROW, requests_of, train
from benchmarks.peers.graph import Graph
from models.versions.predictor import Predictor


@pytest.mark.slow
def test_the_graph_of_rows_says_what_the_version_says(tmp_path: Path) -> None:
    from benchmarks.harness.peer_recipes import fit

    train(ROW, tmp_path / "made")
    artifact = tmp_path / "made" / "1"
    fit(ROW, artifact, tmp_path / "plain")
    records = requests_of(ROW, 300)
    predictor = Predictor.load(artifact)
    said = predictor.predict(predictor.contract.check_records(records).all_or_raise())
    graph = Graph(ROW, tmp_path / "plain" / "model.onnx")
    np.testing.assert_allclose(graph.scores(records), said.probabilities, atol=1e-5)
    assert [answer["label"] for answer in graph.answers(records)] == said.labels
