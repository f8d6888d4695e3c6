"""A disk that is full ends no worker: what it maps into memory has its room before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.settings import CHECKOUT
from tests.disks import fill, small_disk

COUNTING = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from service.mapped_files import count_safely
count_safely()
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess
answered = Counter("answered", "Answers.", ["status"])
waiting = Gauge("waiting", "Records.", multiprocess_mode="livesum")

def told():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    lines = generate_latest(registry).decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("answered_total"))

for word in sys.stdin:
    for number in range(int(word)):
        answered.labels(str(number)).inc()
    waiting.set(1)
    print(int(told()), flush=True)
"""
MARKING = """
import sys
from pathlib import Path
from service.watchdog.activity import ANSWERING, ActivityMarks, read_marks
marks = ActivityMarks(Path(sys.argv[1]), ["digits"])
for _ in sys.stdin:
    marks.begin(ANSWERING, "digits", 7)
    (one,) = marks.running()
    print(one.use_case, one.version, len(read_marks(marks.path)), flush=True)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=4) as folder:
        yield folder


class Running:
    """A process that answers each line with one."""

    def __init__(self, script: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, word: int) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate(timeout=30)
        return self.process.returncode


def test_what_is_counted_goes_on(disk: Path) -> None:
    counting = Running(COUNTING, disk)
    assert counting.ask(3) == "3"
    ballast = fill(disk)
    assert counting.ask(100) == "103", "there is room for these"
    seen = int(counting.ask(2000))
    assert 103 < seen < 2103, "in memory, which nobody else sees"
    ballast.unlink()
    assert int(counting.ask(1)) >= seen
    assert counting.end() == 0


def test_a_worker_that_begins_on_a_full_disk_counts_in_memory(disk: Path) -> None:
    ballast = fill(disk)
    counting = Running(COUNTING, disk)
    assert counting.ask(100) == "0"
    ballast.unlink()
    other = Running(COUNTING, disk)
    assert other.ask(5) == "5"
    assert (counting.end(), other.end()) == (0, 0)


def test_marks_of_what_runs(disk: Path) -> None:
    before = Running(MARKING, disk)
    assert before.ask(0) == "digits 7 1"
    fill(disk)
    after = Running(MARKING, disk)
    assert before.ask(0) == "digits 7 1"
    assert after.ask(0) == "digits 7 0"
    assert (before.end(), after.end()) == (0, 0)
