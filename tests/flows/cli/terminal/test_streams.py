"""Commands print what they can: without UTF-8, into a closed or a full stream, on a narrow terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
USE_CASE = """
name: t
title: Tabelle – “für” Ümläute 表
kind: tabular
record: {fields: [{name: n, type: number}]}
target: {task: binary, column: y, classes: ["0", "1"], positive: "1"}
model: {estimator: logistic}
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "t.yaml").write_text(USE_CASE, encoding="utf-8")
    ports = {"RATCHET_PORT": "21590", "RATCHET_MLFLOW_PORT": "21591", "RATCHET_PREFECT_PORT": "21592"}
    own = {"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_CONFIGS": str(folder), "RATCHET_USE_CASES": "t"}
    return {**os.environ, **ports, **own}


def ratchet(environ: dict[str, str], shell: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m flows.cli"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell.replace("ratchet", program)],
        env=environ, capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        ASCII,
        ASCII | {"TERM": "dumb", "COLUMNS": "20"},
        ASCII | {"NO_COLOR": "1", "TZ": "Nowhere/Bad"},
        {"PYTHONIOENCODING": "latin-1", "LANG": "tr_TR"},
    ],
    ids=str,
)
def test_without_utf_8_it_prints_what_it_can(environ: dict[str, str], more: dict[str, str]) -> None:
    done = ratchet(environ | more, "ratchet status")
    assert done.returncode == 1, "nothing is up"
    assert done.stderr == ""
    assert "Tabelle" in done.stdout
    assert "does not answer" in " ".join(done.stdout.split())
    if more.get("PYTHONIOENCODING") == "ascii":
        assert r'Tabelle - "f\xfcr" \xdcml\xe4ute \u8868' in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("shell", "code"),
    [("ratchet schema | head -1", None), ("ratchet status >&-", 1), ("ratchet down >&- 2>&-", 0)],
)
def test_a_closed_stream_is_no_fault(environ: dict[str, str], shell: str, code: int | None) -> None:
    done = ratchet(environ, shell)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    assert code is None or done.returncode == code


def test_a_full_disk_is_said_in_one_line(environ: dict[str, str]) -> None:
    done = ratchet(environ, "ratchet status --json > /dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
