"""An installation for the tests of a module, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.faults.installation import Installation, running
from tests.faults.measuring import MEASURED
from tests.faults.table import HEADER


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for all tests of a module, each of which leaves it well."""
    with running(tmp_path_factory.mktemp("faults")) as up:
        yield up


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, None, None]:
    """A test measures the fault that it is named for: no row of the page is left to nobody."""
    before = len(MEASURED)
    yield
    faults = [measured.fault for measured in MEASURED[before:]]
    assert faults == [item.callspec.params["fault"]], f"{item.name} measured {faults}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, as rows of docs/faults.md."""
    if MEASURED:
        terminalreporter.section("faults: what was measured")
        for cells in (HEADER, *(measured.cells() for measured in MEASURED)):
            terminalreporter.write_line(f"| {' | '.join(cells)} |")
