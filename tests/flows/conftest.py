"""A use case of apples for tests of the loop, on a real database and a real MLflow."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

NUMBERS = count(1)


@pytest.fixture
def empty_orchard(mlflow_server: Server, database_url: str, tmp_path: Path) -> Orchard:
    """With nothing learned yet, and a name of its own."""
    return open_orchard(
        f"orchard_{next(NUMBERS)}", tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store
    )
