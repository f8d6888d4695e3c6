"""The classes of docs/examples, as packages outside of the checkout: laws kept, fitted, and answered
without them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import CHECKOUT

EXAMPLES = {"own_torch": "torch", "own_keras": "tensorflow"}
"""Package to what it is written with."""
NEEDS = {"own_torch": ("torch", "onnxscript"), "own_keras": ("tensorflow",)}
TURN = """
import sys
from pathlib import Path
from models.estimators.catalogue import packages_behind
from models.versions.artifact import read_manifest
from tests.contract.cases import make_case
from tests.contract.test_laws import MIXED
from configs.schema import ModelConfig
name, folder = sys.argv[1:]
model = ModelConfig(estimator=name, params={"epochs": 5})
use_case = MIXED.model_copy(update={"name": "own", "model": model})
case = make_case(use_case, Path(folder))
assert case.manifest.runtime == "onnx", case.manifest.notes
assert case.manifest.estimator == name
answers = case.answer(case.held_out)
print(answers.sum(), packages_behind(name, {}))
"""
SERVED = """
import sys
import importlib.util
from pathlib import Path
from models.versions.predictor import Predictor
folder, package, library = sys.argv[1:]
assert importlib.util.find_spec(package) is None
predictor = Predictor.load(Path(folder))
difference = predictor.check_probe()
assert library not in sys.modules
print(difference)
"""


@pytest.fixture
def package(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The folder of a copy of an example, as its package is installed."""
    name: str = request.param
    for needed in NEEDS[name]:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    shutil.copytree(CHECKOUT / "docs" / "examples" / name, tmp_path / name)
    about = tmp_path / name / f"{name}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", "utf-8")
    points = f"[ratchet.estimators]\n{name} = {name}.nets:TableNet\n"
    (about / "entry_points.txt").write_text(points, "utf-8")
    return name


def run(*command: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = [str(CHECKOUT), *([] if path is None else [str(path)]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("package", EXAMPLES, indirect=True)
@pytest.mark.parametrize("spelling", ["{0}.nets:TableNet", "{0}"])
def test_an_example_keeps_the_laws(package: str, spelling: str, tmp_path: Path) -> None:
    name = spelling.format(package)
    checked = run("-m", "flows.cli", "check-estimator", name, "--json", path=tmp_path / package)
    told = json.loads(checked.stdout or "{}")
    broken = [one for one in told.get("laws", ()) if one["state"] == "broken"]
    assert (checked.returncode, broken) == (0, []), checked.stderr[-2000:]
    assert {one["law"]: one["state"] for one in told["laws"]}["its_export_agrees"] == "kept"


@pytest.mark.slow
@pytest.mark.parametrize("package", EXAMPLES, indirect=True)
def test_an_example_is_fitted_and_answers_where_it_is_not_installed(package: str, tmp_path: Path) -> None:
    made = run("-c", TURN, f"{package}.nets:TableNet", str(tmp_path), path=tmp_path / package)
    assert made.returncode == 0, made.stderr[-3000:]
    assert f"{{'{package}'}}" in made.stdout
    served = run("-c", SERVED, str(tmp_path / "own"), package, EXAMPLES[package])
    assert served.returncode == 0, served.stderr[-3000:]
    assert float(served.stdout) <= 1e-4


def test_a_class_that_breaks_a_law_ends_the_command_with_1() -> None:
    checked = run("-m", "flows.cli", "check-estimator", "tests.models.laws.test_laws:Forgetful", "--json")
    told = json.loads(checked.stdout)
    assert (checked.returncode, told["kept"]) == (1, False)
    (broken,) = [one for one in told["laws"] if one["state"] == "broken"]
    assert broken["law"] == "save_and_load_agree"
    assert "answers differ by up to" in broken["saw"]
    missing = run("-m", "flows.cli", "check-estimator", "nopackage.models:Net")
    assert missing.returncode != 0
    assert "package nopackage is not installed here" in missing.stderr
    assert "Traceback" not in missing.stderr
