"""A server loads what the lock of servers holds, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from configs.settings import CHECKOUT

BLOCK = """
import sys
BLOCKED = set(sys.argv[1].split(","))
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the lock of servers")
sys.meta_path.insert(0, Blocked())
"""


def importing(modules: str, blocked: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{BLOCK}import {modules}", ",".join(sorted(blocked))]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)


def not_for_servers() -> set[str]:
    """Modules of this environment whose distributions the lock of servers does not hold."""
    lock = (CHECKOUT / "requirements-serve.lock").read_text(encoding="utf-8")
    locked = {
        name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, flags=re.MULTILINE)
    }
    # The whole MLflow is laid over its skinny part, which servers have.
    held = locked | {"ratchet", "mlflow"}
    return {
        module
        for module, names in packages_distributions().items()
        if not {name.lower().replace("_", "-") for name in names} & held
    }


def test_the_service_needs_nothing_that_servers_do_not_have() -> None:
    blocked = not_for_servers()
    assert {"pyarrow", "pandas", "prefect", "evidently", "tensorflow", "catboost"} <= blocked
    done = importing("service.app, service.run, service.work, service.worker", blocked)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("module", ["pyarrow", "pandas"])
def test_what_is_blocked_cannot_be_loaded(module: str) -> None:
    done = importing(module, {module})
    assert done.returncode == 1
    assert "is not in the lock of servers" in done.stderr
