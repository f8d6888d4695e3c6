"""What Prefect prints on the terminal of a command that runs a flow by itself."""

from __future__ import annotations

import logging

from prefect.logging.handlers import PrefectConsoleHandler

RUNS = ("prefect.flow_runs", "prefect.task_runs")


class CommandConsole(PrefectConsoleHandler):
    """Leaves out why a run failed: the command says it in its own words, and Prefect's server has it all."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print, unless it tells of a failure of a run."""
        if record.levelno < logging.ERROR or not record.name.startswith(RUNS):
            super().emit(record)
