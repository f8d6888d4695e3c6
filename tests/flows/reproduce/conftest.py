"""Orchards of their own, and one version that several tests make again and none may change."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from configs.run_options import RunOptions
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

SAMPLE = 200


@pytest.fixture
def orchard(tmp_path: Path, database_url: str, mlflow_server: Server) -> Orchard:
    """One of a test's own."""
    return _open(tmp_path, database_url, mlflow_server)


@pytest.fixture(scope="module")
def grown(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, mlflow_server: Server
) -> Orchard:
    """One whose version 1 learned from a sample of the rows."""
    grown = _open(tmp_path_factory.mktemp("grown"), module_database_url, mlflow_server)
    grown.take_in(600, edge=0.5)
    assert grown.retrain(options=RunOptions(sample_count=SAMPLE)).version == 1
    return grown


def _open(folder: Path, database_url: str, server: Server) -> Orchard:
    name = f"again_{uuid4().hex[:8]}"
    return open_orchard(name, folder / "home", database_url, server.uri, server.store)
