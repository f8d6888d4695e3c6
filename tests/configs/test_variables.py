"""Variables that are named like one of Ratchet's, and that nothing reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import CHECKOUT
from configs.variables import TOLD_TO_CHILDREN, set_in_vain, tell_set_in_vain, variables
from flows.servers.environment import MARK_HOME, MARK_SERVER
from flows.warm.wire import SOCKET
from service.hosting.parent import TOLD_BY


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RATCHET_DATABSE_URL", "RATCHET_DATABASE_URL"),
        ("RATCHET_COMPUT", "RATCHET_COMPUTE"),
        ("RATCHET_USECASES", "RATCHET_USE_CASES"),
        ("ratchet_home", "RATCHET_HOME"),
        ("RACHET_HOME", "RATCHET_HOME"),
        ("RATCHET_PREFEKT_PORT", "RATCHET_PREFECT_PORT"),
    ],
)
def test_the_nearest_name_is_told(name: str, meant: str) -> None:
    assert set_in_vain({name: "secret", "PATH": ""}) == [
        f"{name} is set, and nothing reads it; is {meant} meant?"
    ]


def test_where_none_is_near_it_is_said_where_they_are() -> None:
    (told,) = set_in_vain({"RATCHET_DB": "x"})
    assert told == "RATCHET_DB is set, and nothing reads it; docs/configuration.md has those that are read"


def test_every_setting_and_what_others_use_is_left_alone() -> None:
    declared = [name for name, _, _ in variables()]
    assert "RATCHET_WORK_POOL_TYPE" in declared
    others = [
        "RATCHET_KEY", "RATCHET_TEST_TORCH", "RATCHET_BENCH_DATA", "RATCHET_SCREENSHOTS_IN",
        "RATCHET_SERVICE_HOST", "RATCHET_SERVICE_PORT_HTTP", "RATCHET_PORT_3000_TCP_ADDR",
        "RATCHET_WEB_SERVICE_PORT", "RATCHET_WEB_PORT_3000_TCP", "HATCHET_PORT", "RATCHETS", "_RATCHET_HOME",
    ]  # fmt: skip
    assert set_in_vain(dict.fromkeys([*declared, *TOLD_TO_CHILDREN, *others], "x")) == []


def test_what_processes_tell_each_other_is_known() -> None:
    assert set(TOLD_TO_CHILDREN) == {MARK_HOME, MARK_SERVER, SOCKET, TOLD_BY}


def test_a_server_of_a_stack_does_not_say_what_its_command_has_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_set_in_vain({"RATCHET_PROT": "1", MARK_HOME: "/home"})
    assert capsys.readouterr().err == ""
    tell_set_in_vain({"RATCHET_PROT": "1"})
    assert (
        capsys.readouterr().err
        == "ratchet: RATCHET_PROT is set, and nothing reads it; is RATCHET_PORT meant?\n"
    )


@pytest.mark.parametrize("words", [["flows.cli", "example", "plans"], ["store.database.prepare"]])
def test_a_command_says_it_once_and_goes_on(words: list[str], tmp_path: Path) -> None:
    environ = {**os.environ, "RATCHET_HOME": str(tmp_path), "RATCHET_WORKRES": "2"}
    ended = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = [line for line in ended.stderr.splitlines() if "RATCHET_WORKRES" in line]
    assert lines == ["ratchet: RATCHET_WORKRES is set, and nothing reads it; is RATCHET_WORKERS meant?"]
    assert ("tenure" in ended.stdout) == ("example" in words)
