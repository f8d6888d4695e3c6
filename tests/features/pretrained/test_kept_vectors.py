from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from features.pretrained.keeping import current_keeping, vectors_kept
from features.pretrained.kept_vectors import KeptVectors

PLACES = 8


def some(first: int, last: int) -> dict[bytes, np.ndarray]:
    return {number.to_bytes(32, "big"): np.full(PLACES, number, np.float32) for number in range(first, last)}


def same(found: dict[bytes, np.ndarray], expected: dict[bytes, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all((found[key] == expected[key]).all() for key in expected)


def test_what_is_kept_is_found_again_by_another_process_too(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "vectors"
    vectors = some(0, 1200)
    with KeptVectors(path) as kept:
        assert kept.find(list(vectors), PLACES) == {}
        kept.keep(vectors)
        assert same(kept.find(list(vectors), PLACES), vectors)
        assert (kept.found, kept.kept) == (1200, 1200)
    with KeptVectors(path) as again:
        assert same(again.find([*some(1190, 1300)], PLACES), some(1190, 1200))
        assert again.find(list(vectors), PLACES + 1) == {}


@pytest.mark.parametrize(
    "content", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000], ids=["other", "torn"]
)
def test_a_damaged_file_is_made_anew(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with KeptVectors(path) as kept:
        assert kept.find(list(some(0, 3)), PLACES) == {}
        kept.keep(some(0, 3))
        kept.keep(some(0, 3))
        assert same(kept.find(list(some(0, 3)), PLACES), some(0, 3))
    assert "damaged" in caplog.text


def test_a_file_that_is_damaged_within_costs_no_training(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    with KeptVectors(path) as kept:
        kept.keep(some(0, 2000))
    raw = bytearray(path.read_bytes())
    raw[4096 : len(raw) // 2] = os.urandom(len(raw) // 2 - 4096)
    path.write_bytes(raw)
    with KeptVectors(path) as kept:
        for found in (kept.find(list(some(0, 2000)), PLACES) for _ in range(2)):
            assert len(found) < 2000
        kept.keep(some(0, 10))
        kept.keep(some(0, 10))
        assert same(kept.find(list(some(0, 10)), PLACES), some(0, 10))


def test_the_file_stays_bounded_and_the_newest_used_stay(tmp_path: Path) -> None:
    most = 200_000
    path = tmp_path / "vectors"
    with KeptVectors(path, most) as kept:
        kept.keep(some(0, 100))
        for first in range(100, 20_000, 500):
            kept.find(list(some(0, 100)), PLACES)
            kept.keep(some(first, first + 500))
        assert same(kept.find(list(some(0, 100)), PLACES), some(0, 100))
        assert kept.find(list(some(100, 200)), PLACES) == {}
        assert same(kept.find(list(some(19_900, 20_000)), PLACES), some(19_900, 20_000))
    assert path.stat().st_size < 2 * most


def test_what_drives_out_none_is_kept_while_there_is_room(tmp_path: Path) -> None:
    most = 200_000
    path = tmp_path / "vectors"
    with KeptVectors(path, most) as kept:
        kept.keep(some(0, 500))
    with KeptVectors(path, most, drives_out=False) as asked:
        for first in range(500, 10_000, 500):
            asked.keep(some(first, first + 500))
        assert same(asked.find(list(some(0, 1000)), PLACES), some(0, 1000))
        assert asked.find(list(some(9_500, 10_000)), PLACES) == {}
        assert 500 <= asked.kept < 9_500
    assert path.stat().st_size < 2 * most
    with KeptVectors(path, most) as kept:  # a retrain still makes room for what is new
        kept.keep(some(20_000, 20_500))
        assert same(kept.find(list(some(20_000, 20_500)), PLACES), some(20_000, 20_500))


def test_a_kill_in_the_middle_leaves_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.features.pretrained.test_kept_vectors import some\n"
        "from features.pretrained.kept_vectors import KeptVectors\n"
        "kept = KeptVectors(Path(sys.argv[1]))\nfirst = 0\n"
        "while True:\n    kept.keep(some(first, first + 100)); print(first, flush=True); first += 100\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(5)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with KeptVectors(path) as kept:
        whole = some(0, told[-1] + 100)
        assert same(kept.find(list(whole), PLACES), whole)


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with KeptVectors(tmp_path / "vectors") as kept:
            for first in range(0, 1000, 100):
                kept.keep(some(first + 10_000 * number, first + 10_000 * number + 100))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with KeptVectors(tmp_path / "vectors") as kept:
        for number in range(4):
            written = some(10_000 * number, 10_000 * number + 1000)
            assert same(kept.find(list(written), PLACES), written)


def test_a_disk_that_takes_nothing_costs_no_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "vectors"
    path.mkdir()  # a file cannot be opened there
    with KeptVectors(path) as kept:
        kept.keep(some(0, 3))
        assert kept.find(list(some(0, 3)), PLACES) == {}
    assert "not kept" in caplog.text


def test_they_are_kept_while_something_is_trained_only(tmp_path: Path) -> None:
    assert current_keeping() is None
    with vectors_kept(tmp_path) as vectors:
        training = current_keeping()
        assert training is not None
        assert training.vectors is vectors
        assert training.threads >= 1
        vectors.keep(some(0, 1))
    assert current_keeping() is None
    with sqlite3.connect(tmp_path / "cache" / "vectors.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (1,)
    connection.close()
