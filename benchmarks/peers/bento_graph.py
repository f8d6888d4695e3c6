"""BentoML with records declared by types and an ONNX graph; one API batches."""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.peers.declared import record_type
from benchmarks.peers.graph import Graph

KIND = os.environ["BENCH_KIND"]
Record: Any = record_type(KIND)


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Graphs:
    """A classifier of rows or texts."""

    def __init__(self) -> None:
        self.graph = Graph(KIND, Path(os.environ["BENCH_MODEL"]), attrgetter)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, records: list[Record]) -> list[dict[str, Any]]:
        """Answer each request on its own, on the event loop."""
        return self.graph.answers(records)

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]
    def batched(self, records: list[Record]) -> list[dict[str, Any]]:
        """Answer requests in batches."""
        return self.graph.answers(records)
