"""A home whose servers are fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from flows.stack import processes, reloading, starting, stopping, supervising, watched
from flows.stack.specs import Server


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Iterator[Settings]:
    home = tmp_path / "home"
    yield read_settings({"RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": database_url})
    processes.stop(lambda: processes.marked_processes(home), grace=0)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*fakes: Server) -> None:
        for module in (starting, stopping, supervising, watched, reloading):
            monkeypatch.setattr(module, "servers", lambda _settings: fakes)

    return use
