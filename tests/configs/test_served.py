"""What a home serves it goes on serving, unless it is told otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from configs.served import recall, served_file, with_served, write_served
from configs.settings import CHECKOUT, Settings, read_settings

SHIPPED = CHECKOUT / "configs"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the user's own, with two use cases."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("mails", "churn"):
        (folder / f"{name}.yaml").touch()
    return folder


def settings_of(tmp_path: Path, **variables: str) -> tuple[Settings, dict[str, str]]:
    environ = {"RATCHET_HOME": str(tmp_path / "home"), **variables}
    (tmp_path / "home").mkdir(exist_ok=True)
    return read_settings(environ), environ


def serve(tmp_path: Path, *names: str, **variables: str) -> None:
    """What `ratchet up` writes down."""
    settings, environ = settings_of(tmp_path, RATCHET_USE_CASES=",".join(names), **variables)
    settings = recall(settings, environ).settings
    write_served(settings, dict.fromkeys(names, "digest"))


def recalled(tmp_path: Path, **variables: str) -> Settings:
    return recall(*settings_of(tmp_path, **variables)).settings


def test_a_home_that_serves_nothing_yet_changes_nothing(tmp_path: Path) -> None:
    settings, environ = settings_of(tmp_path)
    assert recall(settings, environ).settings == settings


def test_folders_and_names_are_those_that_are_served(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, "mails", "plans", RATCHET_CONFIGS=str(own))
    settings = recalled(tmp_path)
    assert settings.config_dirs == (SHIPPED, own)
    assert settings.use_cases == ("mails", "plans")
    assert with_served(read_settings({"RATCHET_HOME": str(tmp_path / "home")})) == settings


@pytest.mark.parametrize(
    ("variables", "folders", "names"),
    [
        ({"RATCHET_USE_CASES": "digits"}, True, ("digits",)),
        ({"RATCHET_USE_CASES": ""}, True, ()),
        ({"RATCHET_CONFIGS": ""}, False, ("plans",)),
    ],
)
def test_what_is_said_wins_though_it_is_empty(
    tmp_path: Path, own: Path, variables: dict[str, str], folders: bool, names: tuple[str, ...]
) -> None:
    serve(tmp_path, "mails", "plans", RATCHET_CONFIGS=str(own))
    settings = recalled(tmp_path, **variables)
    assert settings.config_dirs == ((SHIPPED, own) if folders else (SHIPPED,))
    assert settings.use_cases == names


def test_a_new_file_is_taken_up_and_what_was_left_out_stays_out(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, "mails", RATCHET_CONFIGS=str(own))
    assert recalled(tmp_path).use_cases == ("mails",), "churn was there, and was not named"
    (own / "dishes.yaml").touch()
    settings = recalled(tmp_path)
    assert settings.use_cases == ("mails", "dishes")
    write_served(settings, dict.fromkeys(settings.use_cases, "digest"))
    assert recalled(tmp_path).use_cases == ("mails", "dishes")


def test_a_file_that_is_gone_takes_its_use_case_along(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, "mails", "churn", RATCHET_CONFIGS=str(own))
    (own / "churn.yaml").unlink()
    assert recalled(tmp_path).use_cases == ("mails",)


def test_with_no_file_left_all_are_not_served_in_their_place(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, "mails", RATCHET_CONFIGS=str(own))
    (own / "mails.yaml").unlink()
    assert recalled(tmp_path).use_cases == ("mails",)


def test_a_home_that_serves_all_goes_on_with_all(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, RATCHET_CONFIGS=str(own))
    (own / "dishes.yaml").touch()
    assert recalled(tmp_path).use_cases == ()


def test_a_folder_that_is_gone_is_named(tmp_path: Path, own: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    serve(tmp_path, "plans", RATCHET_CONFIGS=f"{own}:{other}")
    other.rmdir()
    found = recall(*settings_of(tmp_path))
    assert found.gone == (other,)
    assert found.settings.config_dirs == (SHIPPED, own)


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"variables": 1}', '{"variables": {"x": "y"}}'])
def test_a_damaged_file_says_nothing(tmp_path: Path, written: str) -> None:
    settings, environ = settings_of(tmp_path)
    served_file(settings.home).write_text(written, encoding="utf-8")
    assert recall(settings, environ).settings == settings


def test_a_file_of_an_earlier_release_left_nothing_out(tmp_path: Path, own: Path) -> None:
    serve(tmp_path, "mails", RATCHET_CONFIGS=str(own))
    file = served_file(tmp_path / "home")
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    del written["left_out"]
    file.write_text(json.dumps(written), encoding="utf-8")
    assert recalled(tmp_path).use_cases == ("mails", "churn")


def test_a_folder_that_is_named_twice_is_read_once(own: Path) -> None:
    assert read_settings({"RATCHET_CONFIGS": f"{own}:{own}"}).config_dirs == (SHIPPED, own)
