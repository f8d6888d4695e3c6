"""Small trained versions that several tests read; none may change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.loading import load_use_case
from configs.settings import CHECKOUT
from tests.contract.cases import Case, make_case


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A version that servers run by ONNX."""
    return make_case(load_use_case(CHECKOUT / "configs" / "plans.yaml"), tmp_path_factory.mktemp("trees"))


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A version that servers run by the estimator itself."""
    use_case = load_use_case(CHECKOUT / "configs" / "plans.yaml")
    model = use_case.model.model_copy(update={"estimator": "logistic", "params": {}})
    return make_case(use_case.model_copy(update={"model": model}), tmp_path_factory.mktemp("native"))


@pytest.fixture
def copied(trees: Case, tmp_path: Path) -> Path:
    """A copy of the first one's artifact, to be damaged."""
    import shutil

    target = tmp_path / "copied"
    shutil.copytree(trees.artifact, target)
    return target
