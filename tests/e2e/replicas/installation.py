"""All of it together: network, PostgreSQL, MLflow with versions, and two servers that are ready."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

from tests.e2e.replicas.fleet import (
    Keys,
    ReplicaServer,
    make_keys,
    mlflow_address,
    postgres_on_network,
    promote,
    publish,
)
from tests.e2e.replicas.networks import MLFLOW, Network, network, reachable_at
from tests.mlflow_servers import running_mlflow

VERSIONS = 6


@dataclass
class Fleet:
    """What the tests speak to."""

    network: Network
    url: str
    uri: str
    """Of MLflow, for this machine."""
    uri_there: str
    """Of MLflow, for the servers."""
    folder: Path
    keys: Keys
    production: int = 0
    running: dict[int, ReplicaServer] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[ReplicaServer, ...]:
        """Those that were started last in each place."""
        return tuple(self.running[number] for number in sorted(self.running))

    def start(self, number: int, **environ: str) -> ReplicaServer:
        """Start a server in its namespace and home, in the place of one that has ended."""
        if number in self.running:
            self.running[number].client.close()
        place, address = list(self.network.places.items())[number]
        home = self.folder / f"home{number}"
        self.running[number] = ReplicaServer(
            place, address, home, self.url, self.uri_there, self.keys, **environ
        )
        return self.running[number]

    def promote_next(self) -> int:
        """Make another version production; returns its number."""
        self.production = self.production % VERSIONS + 1
        promote(self.url, self.uri, self.production)
        return self.production


@contextmanager
def running_fleet(folder: Path, **environ: str) -> Iterator[Fleet]:
    """Two servers, with version 1 in production."""
    with ExitStack() as opened:
        net = opened.enter_context(network())
        url = opened.enter_context(postgres_on_network(folder))
        (folder / "mlflow").mkdir()
        with patch.dict(os.environ, RATCHET_ALLOWED_HOSTS=MLFLOW):
            mlflow = opened.enter_context(running_mlflow(url, folder / "mlflow", "models"))
        port = urlsplit(mlflow.uri).port
        assert port is not None
        opened.enter_context(reachable_at(MLFLOW, port))
        publish(mlflow.uri, url, folder / "artifacts", VERSIONS)
        made = Fleet(net, url, mlflow.uri, mlflow_address(port), folder, make_keys(folder / "keys.yaml"))
        made.promote_next()
        try:
            for number in range(2):
                made.start(number, **environ)
            for server in made.servers:
                server.wait_until_ready()
            yield made
        finally:
            for server in made.servers:
                if server.process.poll() is None:
                    server.__exit__()
                server.client.close()
