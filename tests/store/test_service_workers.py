"""What workers of the service leave in the home about themselves."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from store.service_workers import (
    forget_worker,
    forget_workers,
    is_ready,
    living_workers,
    mark_ready,
    read_models,
    write_models,
)


def test_a_worker_counts_once_it_serves(tmp_path: Path) -> None:
    assert read_models(tmp_path) == {}
    write_models(tmp_path, ["plans"])
    assert (read_models(tmp_path), is_ready(tmp_path, os.getpid())) == ({}, False)
    mark_ready(tmp_path)
    assert (read_models(tmp_path), is_ready(tmp_path, os.getpid())) == (
        {os.getpid(): frozenset({"plans"})},
        True,
    )
    write_models(tmp_path, ["plans", "digits"])
    assert read_models(tmp_path) == {os.getpid(): frozenset({"plans", "digits"})}


def test_a_worker_that_is_gone_is_forgotten_with_its_models(tmp_path: Path) -> None:
    write_models(tmp_path, ["plans"])
    mark_ready(tmp_path)
    assert forget_worker(tmp_path, os.getpid())
    assert not forget_worker(tmp_path, os.getpid())
    mark_ready(tmp_path)
    assert read_models(tmp_path) == {os.getpid(): frozenset()}
    forget_workers(tmp_path)
    assert read_models(tmp_path) == {}


@pytest.mark.parametrize("hours", [2, -2])
def test_a_worker_lives_whatever_the_clock_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    mark_ready(tmp_path)
    began = (
        psutil.Process().create_time()
    )  # counted from when the machine started, which moves with the clock
    monkeypatch.setattr(psutil.Process, "create_time", lambda _process: began + hours * 3600)
    assert living_workers(tmp_path) == [os.getpid()]


def test_a_process_that_was_given_the_number_of_a_worker_is_none(tmp_path: Path) -> None:
    mark_ready(tmp_path)
    written = tmp_path / "work" / "serving" / str(os.getpid())
    if birth := written.read_text(encoding="ascii"):
        written.write_text(f"{birth}1", encoding="ascii")
    else:
        os.utime(written, (0, 0))
    assert living_workers(tmp_path) == []
