"""Two commands from a file to a served model, with nothing edited between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from configs.settings import CHECKOUT
from tests.flows.drafting.files import table, write_csv
from tests.flows.drafting.test_pictures import class_folders
from tests.ports import free_port


@pytest.mark.slow
def test_a_file_is_served_after_two_commands(tmp_path: Path) -> None:
    few = table(30)
    cities = table(200, city=["Bonn", "Köln", "Trier", "Mainz"] * 50, number=range(200))
    (tmp_path / "configs").mkdir()
    port = str(free_port())
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("RATCHET", "PREFECT", "MLFLOW"))},
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_CONFIGS": str(tmp_path / "configs"),
        "RATCHET_USE_CASES": "few,cities,colours",
        "RATCHET_PORT": port,
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }

    def ratchet(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *words],
            env=environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name, columns in (("few", few), ("cities", cities)):
        ratchet("new", name, str(write_csv(tmp_path / f"{name}.csv", columns)), "--target", "label")
    ratchet("new", "colours", str(class_folders(tmp_path / "colours")))
    try:
        ratchet("up", "--detach")
        for name in ("few", "cities", "colours"):
            body = ratchet("example", name, "--request").encode()
            asked = Request(
                f"http://127.0.0.1:{port}/v1/{name}/predict", body, {"Content-Type": "application/json"}
            )
            with urlopen(asked, timeout=60) as answer:
                told = json.load(answer)
            assert told["predictions"][0]["label"] in ("no", "yes", "red", "blue")
            assert told["model"]["version"] == 1
    finally:
        ratchet("down")
