"""A command says in its own words why its run failed; warnings of the run are printed."""

from __future__ import annotations

import io
import logging

import pytest

from flows.servers.prefect_console import CommandConsole


@pytest.mark.parametrize(
    ("name", "level", "is_printed"),
    [
        ("prefect.flow_runs", logging.ERROR, False),
        ("prefect.task_runs", logging.ERROR, False),
        ("prefect.flow_runs", logging.WARNING, True),
        ("prefect.worker.ratchet", logging.ERROR, True),
        ("urllib3.connectionpool", logging.WARNING, True),
    ],
)
def test_failures_of_runs_are_left_to_the_command(name: str, level: int, is_printed: bool) -> None:
    stream = io.StringIO()
    CommandConsole(stream).handle(logging.LogRecord(name, level, "", 0, "what happened", None, None))
    assert ("what happened" in stream.getvalue()) is is_printed
