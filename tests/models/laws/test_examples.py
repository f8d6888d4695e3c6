"""The classes of docs/examples, as packages outside of the checkout: laws kept, fitted, and answered
without them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
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
LETTERS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from configs.schema import UseCase
from features.records.contract import RecordContract
from models.estimators.fit_watch import SilentWatch
from models.pyfunc import requirements
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
use_case = UseCase.model_validate({
    "name": "letters", "title": "Letters", "kind": "text",
    "record": {"fields": [{"name": "said", "type": "text"}]},
    "target": {"task": "multiclass", "column": "tongue", "classes": ["north", "south"]},
    "features": {"encoder": "letter_pairs", "params": {"pairs": 20}},
    "model": {"estimator": "logistic"}, "training": {"challengers": [{"name": "full"}]},
})
random = np.random.default_rng(1)
parts = {"north": ("ka", "to", "mi"), "south": ("ak", "ot", "im")}
labels = ["north", "south"] * 60
texts = [" ".join("".join(random.choice(parts[label], 3)) for _ in range(4)) for label in labels]
contract = RecordContract(use_case.record)
columns = contract.check_records([{"said": text} for text in [*texts, "12?"]]).all_or_raise()
fitted = fit_challenger(use_case, columns, [*labels, "north"], watch=SilentWatch(),
                        challenger=use_case.training.challengers[0])
assert fitted.rows == 120, "what it refuses was learned from"
manifest = write_artifact(Path(sys.argv[1]) / "letters", fitted, use_case, columns, lineage=Lineage(),
                          created_at=datetime(2026, 1, 1, tzinfo=UTC))
loaded = Predictor.load(Path(sys.argv[1]) / "letters")
loaded.check_probe()
right = np.mean([one == label for one, label in zip(loaded.predict(columns).labels, labels)])
named = [line for line in requirements(manifest, "letter_pairs") if "own" in line]
print(manifest.runtime, manifest.format, right, *named)
"""
MISSING = """
import sys
from pathlib import Path
from models.errors import ArtifactError
from models.versions.predictor import Predictor
try:
    Predictor.load(Path(sys.argv[1]))
except ArtifactError as error:
    print(error)
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
    install(name, tmp_path, f"[ratchet.estimators]\n{name} = {name}.nets:TableNet\n")
    return name


def install(name: str, folder: Path, points: str) -> Path:
    """A copy of an example in a folder of its own, with what an installation writes down of it."""
    shutil.copytree(CHECKOUT / "docs" / "examples" / name, folder / name)
    about = folder / name / f"{name}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(points, "utf-8")
    (about / "top_level.txt").write_text(f"{name}\n", "utf-8")
    return folder / name


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


@pytest.mark.slow
def test_an_encoder_of_the_examples_keeps_the_laws_and_is_fitted_by_its_name(tmp_path: Path) -> None:
    folder = install(
        "own_encoder", tmp_path, "[ratchet.encoders]\nletter_pairs = own_encoder.letters:LetterPairs\n"
    )
    for name in ("own_encoder.letters:LetterPairs", "letter_pairs"):
        checked = run("-m", "flows.cli", "check-encoder", name, "--json", path=folder)
        told = json.loads(checked.stdout or "{}")
        assert (checked.returncode, told.get("kept")) == (0, True), checked.stderr[-2000:] + checked.stdout
        assert {one["law"] for one in told["laws"] if one["state"] != "kept"} == set()
    made = run("-c", LETTERS, str(tmp_path), path=folder)
    assert made.returncode == 0, made.stderr[-3000:]
    assert made.stdout.split() == ["native", "4", "1.0", "own_encoder==0.1.0"]
    served = run("-c", MISSING, str(tmp_path / "letters"))
    assert served.returncode == 0, served.stderr[-3000:]
    assert "EncoderUnavailable: features.encoder: 'letter_pairs'" in served.stdout or (
        "EncoderUnavailable: features.encoder: got 'letter_pairs'" in served.stdout
    )


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


def test_the_class_of_the_page_keeps_every_law(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import json\n.*?)```", page, re.DOTALL)
    (tmp_path / "mynet").mkdir()
    (tmp_path / "mynet" / "nets.py").write_text(code, encoding="utf-8")
    checked = run("-m", "flows.cli", "check-estimator", "mynet.nets:NearestMean", path=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr[-2000:]
    assert "laws kept" in checked.stdout
    assert "BROKEN" not in checked.stdout
    hot = ("check-estimator", "mynet.nets:NearestMean", "--params", "{heat: hot}")
    refused = run("-m", "flows.cli", *hot, path=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "ratchet: model.params: mynet.nets:NearestMean raises ValueError: could not convert string to float: "
        "'hot' where it is made of them"
    ]
    banana = ("check-estimator", "mynet.nets:NearestMean", "--kind", "banana")
    unknown = run("-m", "flows.cli", *banana, path=tmp_path)
    assert unknown.returncode == 2
    assert "tabular, mixed, text, image" in unknown.stderr
