"""The service as people run it: `python -m service.run` in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from configs.schema import UseCase
from configs.settings import CHECKOUT
from tests.ports import closed_port, free_port
from tests.service.tiny import make_artifact


def put_in_cache(home: Path, use_case: UseCase, version: int, serving: int | None = None) -> None:
    """Make a version where servers keep those they have fetched; `serving` is what they served last."""
    folder = home / "cache" / "models" / use_case.name
    if not (folder / str(version)).is_dir():
        make_artifact(folder / str(version), use_case, seed=version)
    if serving is not None:
        (folder / "serving.json").write_text(f'{{"version": {serving}}}')


class Server:
    """A running service; MLflow is away, as a start without it must do."""

    def __init__(
        self, home: Path, database_url: str, command: list[str] | None = None, **environ: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "service.log"
        home.mkdir(parents=True, exist_ok=True)
        settings = {
            "RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": database_url, "RATCHET_PORT": str(self.port),
            "RATCHET_MLFLOW_PORT": str(closed_port()), "RATCHET_PREFECT_PORT": str(closed_port()),
            "MLFLOW_TRACKING_URI": "",
        }  # fmt: skip
        self.client = httpx.Client(base_url=self.url, timeout=30)
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "service.run"],
                env=os.environ | settings | environ, cwd=CHECKOUT, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait(60)
        self.ready_seconds = time.monotonic() - started

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return [child for child in alive if "_bentoml_impl.worker.service" in " ".join(child.cmdline())]

    def predict(self, use_case: str, records: list[Any], **more: Any) -> Any:
        """Answer of a predict call that succeeds."""
        response = self.client.post(f"/v1/{use_case}/predict", json={"records": records, **more})
        assert response.status_code == 200, response.text
        return response.json()

    def kill(self) -> None:
        """kill -9 of all its processes at once."""
        family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        for one in family:
            one.send_signal(signal.SIGKILL)
        self.process.wait(10)
        psutil.wait_procs(family, timeout=10)

    def stop(self) -> float:
        """SIGTERM; gives the seconds until all its processes were gone."""
        started = time.monotonic()
        family = [*psutil.Process(self.process.pid).children(recursive=True)]
        self.process.terminate()
        self.process.wait(30)
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
        return time.monotonic() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            try:
                self.stop()
            except (subprocess.TimeoutExpired, AssertionError):
                self.kill()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if self.client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the service did not become ready: {self.log.read_text()[-3000:]}")
