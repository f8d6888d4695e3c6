"""What workers of the service leave in the home about themselves."""

from __future__ import annotations

import os
from pathlib import Path

from store.service_workers import (
    forget_worker,
    forget_workers,
    is_ready,
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
