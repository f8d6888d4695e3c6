from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from configs.settings import CHECKOUT
from features.records.contract import Columns, take
from models.errors import ArtifactError, ProbeError
from models.estimators import arrays
from models.estimators.arrays import Features
from models.versions.artifact import ENCODER, MANIFEST, ONNX, PROBE, file_digests
from models.versions.predictor import RUN_ROWS, Predictor
from tests.contract.cases import Case

HEAVY = (
    "tensorflow",
    "keras",
    "catboost",
    "sklearn",
    "skops",
    "pandas",
    "pyarrow",
    "mlflow",
    "imblearn",
    "onnx",
)

LOAD = """
import sys
from pathlib import Path
from models.versions.predictor import Predictor
predictor = Predictor.load(Path(sys.argv[1]))
predictor.check_probe()
print([name for name in sys.argv[2].split(",") if name in sys.modules])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""


def test_answering_needs_none_of_the_training_libraries(trees: Case) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", LOAD, str(trees.artifact), ",".join(HEAVY)],
        cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60,
    ).stdout.splitlines()  # fmt: skip
    assert shown[0] == "[]"
    # A server has the rest of its 450 MB for itself.
    assert int(shown[1]) < 200 * 1024


def test_many_threads_get_the_same_answers(trees: Case) -> None:
    columns = trees.held_out
    expected = trees.answer(columns)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: trees.predictor.predict(columns).probabilities, range(200)))
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


def test_a_whole_probe_passes(trees: Case) -> None:
    assert trees.predictor.check_probe() < 1e-4


def seal(directory: Path) -> None:
    """Let the manifest agree with what the files now are."""
    digests = {name: digest for name, digest in file_digests(directory).items() if name != MANIFEST}
    manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
    (directory / MANIFEST).write_text(json.dumps(manifest | {"files": digests}), "utf-8")


def test_other_answers_than_recorded_are_refused(copied: Path) -> None:
    probe = json.loads((copied / PROBE).read_text("utf-8"))
    probe["probabilities"][3][0] += 0.01
    (copied / PROBE).write_text(json.dumps(probe), "utf-8")
    seal(copied)
    with pytest.raises(
        ProbeError, match=r"differs from the recorded answers by 0\.01 on 16 rows; allowed: 0\.0001"
    ):
        Predictor.load(copied).check_probe()


def test_a_graph_that_is_none_is_refused_at_load(copied: Path) -> None:
    (copied / ONNX).write_bytes(b"no graph")
    seal(copied)
    with pytest.raises(ArtifactError, match="cannot be loaded: "):
        Predictor.load(copied)


def test_a_graph_of_another_input_fails_the_probe(copied: Path) -> None:
    encoder = json.loads((copied / ENCODER).read_text("utf-8"))
    encoder["categories"].popitem()
    (copied / ENCODER).write_text(json.dumps(encoder), "utf-8")
    seal(copied)
    with pytest.raises(ProbeError, match="Got invalid dimensions"):
        Predictor.load(copied).check_probe()


def test_an_answer_that_is_no_number_fails_the_probe(trees: Case) -> None:
    broken = Predictor(
        trees.manifest,
        trees.use_case,
        trees.fitted.encoder,
        lambda x: np.full((len(x), len(trees.predictor.classes)), np.nan, np.float32),
        trees.predictor._probe,
    )
    with pytest.raises(ProbeError):
        broken.check_probe()


def test_the_runtime_never_sees_more_rows_than_its_memory_is_for(trees: Case) -> None:
    sizes: list[int] = []

    def run(x: np.ndarray) -> np.ndarray:
        sizes.append(len(x))
        return np.full((len(x), 3), 1 / 3, np.float32)

    spied = Predictor(trees.manifest, trees.use_case, trees.fitted.encoder, run, trees.predictor._probe)
    spied.predict(take(trees.held_out, np.zeros(RUN_ROWS * 2 + 1, dtype=np.intp)))
    assert sizes == [RUN_ROWS, RUN_ROWS, 1]


def test_wide_rows_are_encoded_a_part_at_a_time(trees: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trees.predictor.predict(trees.held_out).probabilities
    asked: list[int] = []
    encode = trees.predictor.encode

    def counting(columns: Columns) -> Features:
        x = encode(columns)
        asked.append(len(x))
        return x

    monkeypatch.setattr(trees.predictor, "encode", counting)
    monkeypatch.setattr(arrays, "PART_BYTES", 7 * 4 * int(np.prod(trees.predictor.manifest.input_shape)))
    np.testing.assert_array_equal(trees.predictor.predict(trees.held_out).probabilities, expected)
    assert (sum(asked), max(asked)) == (len(expected), 7)


def test_labels_and_scores_are_those_of_the_best_class(trees: Case) -> None:
    answers = trees.predictor.predict(take(trees.held_out, slice(0, 3)))
    assert [answers.classes[row.argmax()] for row in answers.probabilities] == answers.labels
    assert answers.scores == [float(row.max()) for row in answers.probabilities]
