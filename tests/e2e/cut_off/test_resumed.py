"""A retrain killed with kill -9 in the middle of its epochs: the next one goes on where it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from configs.loading import load_use_case
from configs.schema.training import POOL
from configs.settings import Settings
from flows.servers.environment import child_environment
from store.database.connection import connect, database_url
from tests.e2e.stacks import running_stack

pytestmark = pytest.mark.faults

EPOCHS = 6
CONFIG = f"""
name: moods
title: Moods
kind: text
record: {{fields: [{{name: text, type: text}}]}}
target: {{task: multiclass, classes: [glad, sad]}}
model: {{estimator: linear_text, params: {{epochs: {EPOCHS}, batch_size: 1}}}}
"""
TOLD = f"""
SELECT run_id::text, (payload->>'epoch')::int FROM run_event
WHERE payload->>'step' = 'train' AND payload->>'challenger' = '{POOL.name}' AND payload ? 'epoch' ORDER BY seq
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Settings]:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "moods.yaml").write_text(CONFIG, encoding="utf-8")
    with running_stack(tmp_path / "home", configs=folder, use_cases=("moods",)) as settings:
        yield settings


def write_moods(path: Path, rows: int) -> Path:
    chance = random.Random(1)
    words = [f"word{number}" for number in range(2000)]
    moods = [("rain", "sad"), ("sun", "glad")]
    texts = [" ".join(chance.choices(words, k=30)) for _ in range(rows)]
    lines = [f"{text} {moods[row % 2][0]},{moods[row % 2][1]}" for row, text in enumerate(texts)]
    path.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return path


def command(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("ratchet")), *words],
        env=child_environment(settings, "test"),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def epochs_told(conn: psycopg.Connection) -> dict[str, list[int]]:
    """Of the configured challenger by run, in the order in which they were told: a plain one learns too."""
    told: dict[str, list[int]] = {}
    for run_id, epoch in conn.execute(TOLD).fetchall():
        told.setdefault(str(run_id), []).append(int(epoch))
    return told


def test_a_killed_retrain_goes_on_after_its_last_whole_epoch(stack: Settings, tmp_path: Path) -> None:
    data = write_moods(tmp_path / "moods.csv", 20_000)
    assert command(stack, "ingest", "moods", str(data)).wait() == 0
    killed = command(stack, "retrain", "moods")
    with connect(database_url(stack), autocommit=True) as conn:
        while max([0, *(max(epochs) for epochs in epochs_told(conn).values())]) < 4:
            assert killed.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        (kept,) = (stack.home / "checkpoints" / "moods").glob("*/checkpoint.npz")
        moods = load_use_case(tmp_path / "configs" / "moods.yaml")
        assert kept.parent.name == moods.training.challengers[0].name
        assert command(stack, "retrain", "moods").wait() == 0
        first, second = epochs_told(conn).values()
    assert first[0] == 1
    assert min(second) >= 4
    assert max(second) == EPOCHS
    assert not (stack.home / "checkpoints" / "moods").exists()
