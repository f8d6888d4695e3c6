"""What the supervisor writes down, and what others read of it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from store.supervision import (
    ServerEvent,
    ServerStanding,
    Supervision,
    read_supervision,
    supervision_file,
    supervision_problem,
    write_supervision,
)

ME = psutil.Process()


def supervision(**servers: ServerStanding) -> Supervision:
    event = ServerEvent(7.5, "mlflow", "down", "it is down")
    return Supervision(ME.pid, ME.create_time(), servers, (event,))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = supervision(mlflow=ServerStanding("waiting", 3.5, 2, 1, "no room", 9.0))
    write_supervision(tmp_path, written)
    assert read_supervision(tmp_path) == written
    assert [file.name for file in tmp_path.iterdir()] == ["supervision.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "began": 2, "servers": {"a": 1}}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    supervision_file(tmp_path).write_text(text)
    assert read_supervision(tmp_path) is None


def test_nobody_has_watched_is_no_problem(tmp_path: Path) -> None:
    assert supervision_problem(tmp_path) is None


def test_servers_that_run_are_no_problem(tmp_path: Path) -> None:
    write_supervision(
        tmp_path, supervision(mlflow=ServerStanding("running", 3.5, deaths=1, reason="it ended"))
    )
    assert supervision_problem(tmp_path) is None


def test_one_that_waits_is_named_with_the_reason(tmp_path: Path) -> None:
    write_supervision(tmp_path, supervision(mlflow=ServerStanding("waiting", 3.5, 2, 1, "port 7 is taken")))
    assert supervision_problem(tmp_path) == (
        "mlflow: it is down: port 7 is taken; attempts in a row that failed: 2"
    )


def test_a_supervisor_that_is_gone_is_told(tmp_path: Path) -> None:
    """Also where its process id is somebody else's by now."""
    write_supervision(tmp_path, Supervision(ME.pid, ME.create_time() - 100))
    assert "nobody watches" in str(supervision_problem(tmp_path))
