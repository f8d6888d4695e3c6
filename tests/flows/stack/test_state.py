"""The record of what runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.servers.environment import MARK_HOME
from flows.stack import processes
from flows.stack.state import (
    RecordedProcess,
    read_state,
    read_supervisor,
    running,
    state_file,
    write_state,
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[psutil.Process]:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARK_HOME: str(tmp_path)},
    ) as child:
        yield psutil.Process(child.pid)
        child.kill()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = {"service": RecordedProcess(7, 12.5)}
    write_state(tmp_path, record)
    assert read_state(tmp_path) == record
    write_state(tmp_path, {})
    assert not state_file(tmp_path).exists()
    assert read_state(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"servers": {"a": 1}}', '{"servers": {"a": {"pid": "x"}}}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    state_file(tmp_path).write_text(text)
    assert read_state(tmp_path) == {}


def test_a_live_process_is_running(tmp_path: Path, process: psutil.Process) -> None:
    write_state(tmp_path, {"service": RecordedProcess.of(process)})
    assert running(tmp_path) == {"service": process}


def test_a_process_id_that_the_system_gave_to_another_is_not(tmp_path: Path, process: psutil.Process) -> None:
    write_state(tmp_path, {"service": RecordedProcess(process.pid, process.create_time() - 100)})
    assert running(tmp_path) == {}


@pytest.mark.parametrize("seconds", [7200.0, -7200.0])
def test_a_process_stays_the_same_when_the_clock_is_set(
    tmp_path: Path, process: psutil.Process, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    record = RecordedProcess.of(process)
    write_state(tmp_path, {"service": record})
    booted = psutil.boot_time()
    # Which is how a clock that is set shows: time since boot goes on.
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + seconds)
    assert abs(psutil.Process(process.pid).create_time() - record.began) == pytest.approx(7200)
    assert running(tmp_path) == {"service": process}
    assert record.is_alive()
    assert not RecordedProcess(record.pid, record.began).is_alive()
    another = RecordedProcess(record.pid, record.began, f"{record.birth.split()[0]} 1")
    assert not another.is_alive()


@pytest.mark.parametrize("seconds", [7200.0, -7200.0])
def test_a_young_process_is_asked_again_when_the_clock_was_set(
    tmp_path: Path, process: psutil.Process, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    record = RecordedProcess.of(process)
    booted = psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + seconds)
    monkeypatch.setattr(processes, "YOUNG_SECONDS", 60.0)
    # As the kernel shows it until a new program is laid out in memory.
    answers = iter([{}, {MARK_HOME: str(tmp_path)}])
    monkeypatch.setattr(psutil.Process, "environ", lambda _: next(answers))
    assert record.process(tmp_path) == process


def test_a_record_without_time_since_boot_is_read(tmp_path: Path, process: psutil.Process) -> None:
    record = {"pid": process.pid, "began": process.create_time()}
    state_file(tmp_path).write_text(json.dumps({"servers": {"service": record}, "supervisor": record}))
    assert running(tmp_path) == {"service": process}
    assert read_supervisor(tmp_path) == RecordedProcess(process.pid, process.create_time())


def test_a_process_without_our_mark_is_not(tmp_path: Path) -> None:
    write_state(tmp_path, {"service": RecordedProcess.of(psutil.Process())})
    assert running(tmp_path) == {}
