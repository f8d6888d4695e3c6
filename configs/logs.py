"""Log lines of one process: text for people, or a JSON object each for programs."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

from configs.security.printable import printable

LogFormat = Literal["text", "json"]
LOGGER = "ratchet"
"""Above all loggers of Ratchet's own servers."""
TEXT = "%(asctime)s %(levelname)s %(message)s"


class JsonLines(JsonFormatter):
    """One JSON object a line: time, level, logger, message, and whatever else a line was given.

    Configurations of other tools may name it; what they say of its format is left aside.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
        )


class TextLines(logging.Formatter):
    """Text in which only a line of the log begins at the margin: no value makes a line of its own."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and indented below it what belongs to it."""
        return printable(super().format(record)).replace("\n", "\n  ")


def configure_logs(log_format: LogFormat) -> None:
    """Let this process's own lines, from INFO on, go to standard error; and all lines have the format.

    What libraries have set up before keeps its levels and places.
    """
    ratchet_logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    ratchet_logger.handlers = [handler]
    ratchet_logger.setLevel(logging.INFO)
    ratchet_logger.propagate = False
    if log_format == "json":
        if logging.lastResort is not None:  # says what nobody else handles
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
