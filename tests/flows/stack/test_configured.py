"""What use cases name is looked at before any server is started or touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.settings import Settings
from flows.beforehand.configured import ensure_configured
from flows.stack import processes, starting, state
from flows.stack.reloading import take_up
from models.errors import NotConfigurable
from tests.e2e.apples import CONFIG
from tests.flows.stack.fakes import Messages, fake

MISSING = "model.estimator: 'nopackage.models:Net' is not to be had: package nopackage is not installed here"


@pytest.fixture
def say(settings: Settings, tmp_path: Path) -> Callable[..., Settings]:
    """Settings whose one use case says something else than the apples."""
    folder = tmp_path / "configs"
    folder.mkdir()

    def say(**changes: Any) -> Settings:
        described = yaml.safe_load(CONFIG) | changes
        (folder / "apples.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
        return replace(settings, config_dirs=(*settings.config_dirs, folder), use_cases=("apples",))

    return say


def test_nothing_is_started_where_a_class_is_not_there(
    say: Callable[..., Settings], use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    ours = say(model={"estimator": "nopackage.models:Net"})
    with pytest.raises(NotConfigurable, match=f"use case 'apples': {MISSING}"):
        starting.bring_up(ours, Messages())
    assert processes.marked_processes(ours.home) == []
    assert not (tmp_path / "one.ready").exists()


def test_what_runs_goes_on_as_it_was(
    say: Callable[..., Settings], use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    starting.bring_up(say(), Messages())
    (running,) = state.running(say().home).values()
    with pytest.raises(
        NotConfigurable, match=r"features\.encoder: 'nopackage.encoders:Net' is not to be had"
    ):
        take_up(say(features={"encoder": "nopackage.encoders:Net"}), Messages())
    assert processes.is_running(running)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"estimator": "catboost", "params": {"dept": 3}}},
            r"model.params.dept: .*is 'depth' meant",
        ),
        (
            {
                "training": {
                    "challengers": [{"name": "full"}, {"name": "own", "model": {"estimator": "a.b:C"}}]
                }
            },
            "training.challengers: 'own': model.estimator: 'a.b:C' is not to be had: package a is not",
        ),
        (
            {"model": {"estimator": "killing_package:Net"}},
            r"the check of it ended with 3: it takes the process along",
        ),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, Any], message: str, say: Callable[..., Settings], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    package = tmp_path / "site" / "killing_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import os, sys\nsys.stderr.write('it takes the process along')\nsys.stderr.flush()\nos._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    with pytest.raises(NotConfigurable, match=message):
        ensure_configured(say(**changes))


def test_what_is_there_is_taken(say: Callable[..., Settings]) -> None:
    ensure_configured(say())
    ensure_configured(say(model={"estimator": "tests.models.laws.test_laws:Mean"}))
    ensure_configured(say(model={"estimator": "sklearn", "params": {"class": "sklearn.svm.SVC"}}))
