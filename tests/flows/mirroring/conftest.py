"""An orchard with a version that serves, and others beside it that answer, break, hang or eat memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.harness.spoiling import Fault, spoil
from configs.settings import Settings
from models.versions.artifact import MANIFEST, write_json
from store.predictions.shadow_answers import ShadowStanding, find_standing
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

NUMBERS = count(1)
MARKED = 1.4
"""A weight at which a spoilt version shows its fault: three deviations above the mean, once encoded."""


@dataclass
class Garden:
    """Version 1 serves: apples above 0.5 are good."""

    orchard: Orchard
    ids: count[int]

    @property
    def name(self) -> str:
        return self.orchard.name

    @property
    def settings(self) -> Settings:
        return self.orchard.context.settings

    def add_version(self, fault: Fault | None = None, *, swapped: bool = False) -> int:
        """Another version, named `challenger`: as version 1, or with a fault.

        Args:
            swapped: it calls good what version 1 calls poor.
        """
        client = self._client()
        source = client.get_model_version(self.name, "1").source
        assert source is not None
        model_id = source.removeprefix("models:/")
        number = int(client.create_model_version(self.name, source, model_id=model_id).version)
        target = self.orchard.kept(number)
        if fault is None:
            shutil.copytree(self.orchard.kept(1), target)
        else:
            spoil(self.orchard.kept(1), target, fault, beyond=2.3)
        if swapped:
            swap_classes(target)
        self.name_it("challenger", number)
        return number

    def name_it(self, alias: str, version: int) -> None:
        """Point an alias at a version."""
        self._client().set_registered_model_alias(self.name, alias, str(version))

    def log(self, weights: Sequence[float], *, label: str = "good") -> list[str]:
        """Records that version 1 has answered now, in the order of their times."""
        ids = [f"{next(self.ids):08d}" for _ in weights]
        with self.orchard.context.connect() as conn:
            for name, weight in zip(ids, weights, strict=True):
                conn.execute(
                    "INSERT INTO prediction (id, use_case, record, label, score, model_version, predicted_at)"
                    " VALUES (%s, %s, jsonb_build_object('weight', %s::float8, 'colour', 'red'), %s, 0.9, 1,"
                    " %s)",
                    (name, self.name, weight, label, datetime.now(UTC)),
                )
            conn.commit()
        return ids

    def answers(self, version: int) -> dict[str, tuple[str | None, str | None]]:
        """Id to label and error of all answers of a version."""
        with self.orchard.context.connect() as conn:
            rows = conn.execute(
                "SELECT prediction_id, label, error FROM shadow_answer WHERE use_case = %s AND version = %s",
                (self.name, version),
            ).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def standing(self) -> ShadowStanding | None:
        with self.orchard.context.connect() as conn:
            return find_standing(conn, self.name)

    def _client(self) -> MlflowClient:
        return MlflowClient(self.orchard.registry.tracking_uri, self.orchard.registry.tracking_uri)


def swap_classes(artifact: Path) -> None:
    """Have each class of a version be called by the other's name."""
    manifest = json.loads((artifact / MANIFEST).read_text(encoding="utf-8"))
    manifest["classes"] = manifest["classes"][::-1]
    write_json(artifact / MANIFEST, manifest)


@pytest.fixture(scope="module")
def garden(
    mlflow_server: Server, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Garden:
    home = tmp_path_factory.mktemp("garden") / "home"
    orchard = open_orchard(
        f"mirror_{next(NUMBERS)}", home, module_database_url, mlflow_server.uri, mlflow_server.store
    ).changed(serving={"shadow": "challenger"})
    orchard.take_in(300, edge=0.5)
    assert orchard.retrain().outcome == "promoted"
    return Garden(orchard, count(1))
