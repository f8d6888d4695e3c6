"""What a retrain learned to be plausible is what the next rows are held against."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from models.versions.artifact import read_encoder
from store.feedback.fences import production_fences
from tests.flows.retrain.turns import open_orchard
from tests.mlflow_servers import Server


def test_production_has_the_fences_of_its_encoder(
    mlflow_server: Server, database_url: str, tmp_path: Path
) -> None:
    name = f"fences_{uuid4().hex[:8]}"
    orchard = open_orchard(name, tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store)
    orchard.take_in(400, edge=0.5)
    assert orchard.retrain().version == 1
    artifact = orchard.registry.download(name, 1, tmp_path / "cache", None)
    with orchard.context.connect() as conn:
        bounds = production_fences(conn, orchard.context.use_case).bounds
    assert set(bounds) == {"weight"}
    assert bounds == read_encoder(artifact, "tabular").fences
