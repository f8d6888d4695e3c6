"""Log lines of one process: text for people, or a JSON object each for programs."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

from configs.security.printable import printable

LogFormat = Literal["text", "json"]
LOGGER = "ratchet"
"""Parent of all loggers of Ratchet's own servers."""
TEXT = "%(asctime)s %(levelname)s %(message)s"


class JsonLines(JsonFormatter):
    """One JSON object a line: time, level, logger, message, and the `extra` values of the call.

    Logging configurations of other tools may name this class; the format that they pass is ignored.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
        )


class TextLines(logging.Formatter):
    """Text whose further lines are indented, so that no value can pass for a line of the log."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """One entry of the log; its further lines, as of a traceback, are indented."""
        return printable(super().format(record)).replace("\n", "\n  ")


def configure_logs(log_format: LogFormat) -> None:
    """Send this process's own lines, from INFO on, to standard error, and give all lines the format.

    Loggers that libraries have set up before keep their levels and handlers.
    """
    ratchet_logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    ratchet_logger.handlers = [handler]
    ratchet_logger.setLevel(logging.INFO)
    ratchet_logger.propagate = False
    if log_format == "json":
        if logging.lastResort is not None:  # writes what no handler takes
            logging.lastResort.setFormatter(JsonLines())
        loggers = [
            entry for entry in logging.Logger.manager.loggerDict.values() if isinstance(entry, logging.Logger)
        ]
        for logger in (logging.getLogger(), *loggers):
            for stream_handler in logger.handlers:
                if isinstance(stream_handler, logging.StreamHandler) and not isinstance(
                    stream_handler, logging.FileHandler
                ):
                    stream_handler.setFormatter(JsonLines())
