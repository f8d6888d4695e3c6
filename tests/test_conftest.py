"""What the suite says of itself at its end."""

from __future__ import annotations

import os

import pytest

from tests.conftest import (
    LEFT_BY_MLFLOW,
    LONG,
    NO_BROWSER,
    browser_sentence,
    keeping_environment,
    leaving_settings,
    pytest_collection_modifyitems,
)


def test_tests_without_a_browser_are_counted_apart_from_others_that_were_skipped() -> None:
    skips = [f"('tests/x.py', {line}, 'Skipped: {NO_BROWSER}')" for line in range(42)]
    other = "('tests/y.py', 1, 'Skipped: only root runs the database as somebody else')"
    assert browser_sentence([*skips, other]) == "42 tests were skipped: no browser (chromium) was found"
    assert browser_sentence([skips[0]]) == "1 test was skipped: no browser (chromium) was found"


def test_nothing_is_said_where_no_test_wanted_a_browser() -> None:
    assert browser_sentence([]) is None
    assert browser_sentence(["('tests/y.py', 1, 'Skipped: another reason')"]) is None


def test_a_setting_that_is_left_behind_is_told_and_taken_back() -> None:
    before = dict(os.environ)
    told = "left in the environment: RATCHET_HOME, RATCHET_PORT; `own_environment`"
    with pytest.raises(pytest.fail.Exception, match=told), leaving_settings():
        os.environ |= {"RATCHET_HOME": "/left/behind", "RATCHET_PORT": "1"}
    assert dict(os.environ) == before


def test_what_a_command_writes_into_the_environment_is_taken_back() -> None:
    before = dict(os.environ)
    with leaving_settings(), keeping_environment():
        os.environ |= {"RATCHET_HOME": "/left/behind", "PREFECT_HOME": "/left/behind", "PATH": ""}
    assert dict(os.environ) == before


@pytest.fixture(scope="module")
def left() -> dict[str, str]:
    """Leaves the address of its MLflow and its experiment, as a fit that all tests of a file share does."""
    left = dict(zip(LEFT_BY_MLFLOW, ("http://127.0.0.1:1", "1"), strict=True))
    os.environ |= left
    return left


@pytest.mark.parametrize("is_first", [True, False])
def test_what_mlflow_left_by_a_files_fixture_is_forgotten_after_its_first_test(
    left: dict[str, str], is_first: bool
) -> None:
    found = {name: os.environ[name] for name in LEFT_BY_MLFLOW if name in os.environ}
    assert found == (left if is_first else {})


@pytest.mark.parametrize(("told", "given"), [(None, LONG), (300, LONG), (LONG + 1, LONG + 1)])
@pytest.mark.parametrize("kind", ["slow", "faults"])
def test_what_takes_long_is_given_up_late(
    request: pytest.FixtureRequest, kind: str, told: float | None, given: float
) -> None:
    if told is not None:
        request.node.add_marker(pytest.mark.timeout(told))
    request.node.add_marker(kind)
    pytest_collection_modifyitems([request.node])
    assert request.node.get_closest_marker("timeout").args == (given,)


def test_other_tests_have_the_time_that_they_name(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.timeout(200))
    pytest_collection_modifyitems([request.node])
    assert request.node.get_closest_marker("timeout").args == (200,)
