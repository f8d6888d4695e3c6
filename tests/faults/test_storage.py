"""A disk that fills up, bytes that change, two loops at once, and a clock that jumps."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.versions.cache import cached_artifact, model_cache
from tests.disks import fill, small_disk
from tests.e2e.apples import USE_CASE, write_apples
from tests.faults.installation import Installation, callers_of, running, watch_for
from tests.faults.measuring import measure

pytestmark = pytest.mark.faults

DISK_MEGABYTES = 900


@pytest.mark.parametrize("fault", ["disk full for 20 s"])
def test_the_disk_is_full_for_a_while(tmp_path: Path, fault: str) -> None:
    with (
        small_disk(tmp_path / "disk", DISK_MEGABYTES) as disk,
        running(disk) as up,
        callers_of(up) as callers,
    ):
        ballast = fill(disk)
        watched = watch_for(up, 20.0)
        ballast.unlink()
        ended = time.monotonic()
        measure(fault, up, callers, watched, ended)


def flip_byte(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest_file(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("fault", ["production's local copy damaged, and a restart"])
def test_production_s_copy_here_is_damaged(installation: Installation, fault: str) -> None:
    version = installation.health()["use_cases"][USE_CASE]["version"]
    with callers_of(installation) as callers:
        flip_byte(largest_file(cached_artifact(model_cache(installation.home), USE_CASE, version)))
        began = time.monotonic()
        installation.kill("service")
        watched = watch_for(installation, 12.0)
        measure(fault, installation, callers, watched, began)
    assert installation.health()["use_cases"][USE_CASE]["version"] == version


@pytest.mark.parametrize("fault", ["every snapshot damaged, and a retrain"])
def test_the_snapshot_of_production_is_damaged(
    installation: Installation, tmp_path: Path, fault: str
) -> None:
    data = write_apples(tmp_path / "more.csv", 400, edge=0.5, seed=5)
    with callers_of(installation) as callers:
        for path in (installation.home / "history").rglob("*.parquet"):
            flip_byte(path)
        began = time.monotonic()
        watched = watch_for(installation, 1.0)
        installation.run("ingest", USE_CASE, str(data))
        assert "Traceback" not in installation.run("retrain", USE_CASE)
        measure(fault, installation, callers, watched, began)


@pytest.mark.parametrize("fault", ["two retrains of one use case at once"])
def test_two_loops_at_once(installation: Installation, tmp_path: Path, fault: str) -> None:
    data = write_apples(tmp_path / "more.csv", 400, edge=0.5, seed=6)
    installation.run("ingest", USE_CASE, str(data))
    with (
        callers_of(installation) as callers,
        installation.started("retrain", USE_CASE) as one,
        installation.started("retrain", USE_CASE) as other,
    ):
        began = time.monotonic()
        both = one, other
        watched = watch_for(installation, 90.0, until=lambda: all(each.poll() is not None for each in both))
        outputs = [each.communicate()[0] for each in both]
        assert sorted(each.returncode == 0 for each in both) == [False, True], outputs
        assert any("is busy with run" in output for output in outputs)
        assert not any("Traceback" in output for output in outputs)
        measure(fault, installation, callers, watched, began)


HOURS = 3600
JUMPS = {
    "the clock jumps forwards by 2 hours": 2 * HOURS,
    "the clock jumps backwards by 2 hours": -2 * HOURS,
}
SOURCE = Path(__file__).with_name("clock.c")
COMPILER = shutil.which("cc") if sys.platform == "linux" else None


@pytest.mark.skipif(COMPILER is None, reason="needs Linux and a C compiler (Debian: apt-get install gcc)")
@pytest.mark.parametrize("fault", JUMPS)
def test_the_clock_jumps(tmp_path: Path, fault: str) -> None:
    """Every process of the stack sees the clock move at once; time since boot goes on."""
    library, offset = tmp_path / "clock.so", tmp_path / "offset"
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    offset.write_bytes(bytes(8))
    tmp_path.chmod(0o755)
    clock = {"LD_PRELOAD": str(library), "RATCHET_TEST_CLOCK": str(offset)}
    with running(tmp_path / "faults", **clock) as up, callers_of(up) as callers:
        with offset.open("r+b") as file:  # in place, as all processes have it mapped
            file.write(struct.pack("q", JUMPS[fault]))
        began = time.monotonic()
        watched = watch_for(up, 15.0)
        up.run("ingest", USE_CASE, str(write_apples(tmp_path / "more.csv", 400, edge=0.5, seed=7)))
        assert "Traceback" not in up.run("retrain", USE_CASE)
        measure(fault, up, callers, watched, began)
    shutil.rmtree(tmp_path / "faults", ignore_errors=True)
