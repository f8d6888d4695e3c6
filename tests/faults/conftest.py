"""An installation for the tests of a module, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.installation import Installation, running
from tests.faults.measuring import MEASURED
from tests.faults.table import HEADER


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for all tests of a module, each of which leaves it well."""
    with running(tmp_path_factory.mktemp("faults")) as up:
        yield up


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, as rows of docs/faults.md."""
    if MEASURED:
        terminalreporter.section("faults: what was measured")
        for cells in (HEADER, *(measured.cells() for measured in MEASURED)):
            terminalreporter.write_line(f"| {' | '.join(cells)} |")
