"""Log lines as text, and as JSON objects; in a process of its own, whose logging is its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from configs.errors import SettingError
from configs.settings import CHECKOUT, read_settings

SPEAK = """
import logging, sys
early = logging.getLogger("library")
early.addHandler(logging.StreamHandler())
from configs.logs import configure_logs
configure_logs(sys.argv[1])
logging.getLogger("ratchet.service").info("%s serves %d", "apples", 2, extra={"request_id": "r-1"})
logging.getLogger("ratchet.service").debug("unheard")
early.warning("beware")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("ratchet.service").exception("broken")
evil = "x\\n2026-01-01 00:00:00,000 ERROR forged\\r\\x1b[2J"
logging.getLogger("ratchet.service").info("path %s", evil)
try:
    raise ValueError(evil)
except ValueError:
    logging.getLogger("ratchet.service").exception("worse")
"""


def speak(log_format: str) -> str:
    command = [sys.executable, "-c", SPEAK, log_format]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stderr


def test_json_lines_are_objects_with_what_they_were_given() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in speak("json").splitlines()]
    values = {key: lines[0][key] for key in ("level", "logger", "message", "request_id")}
    assert values == {
        "level": "INFO", "logger": "ratchet.service", "message": "apples serves 2", "request_id": "r-1",
    }  # fmt: skip
    assert lines[0]["time"].startswith("20")
    assert [line["message"] for line in lines[:3]] == ["apples serves 2", "beware", "broken"]
    assert "ZeroDivisionError" in lines[2]["exc_info"]


def test_text_is_for_people() -> None:
    first, *rest = speak("text").splitlines()
    assert first.endswith(" INFO apples serves 2")
    assert rest[0] == "beware", "what libraries say is theirs"
    assert any("ZeroDivisionError" in line for line in rest)


def test_no_value_makes_a_line_of_the_log() -> None:
    output = speak("text")
    begun = [line.split(" ", 2)[2] for line in output.splitlines() if line[:1] == "2"]
    assert begun == ["INFO apples serves 2", "ERROR broken", "INFO path x", "ERROR worse"]
    assert output.count("  2026-01-01 00:00:00,000 ERROR forged\\r\\x1b[2J") == 2
    assert "\x1b" not in output
    assert len(speak("json").splitlines()) == 5


def test_settings() -> None:
    assert (read_settings({}).log_format, read_settings({}).access_log) == ("text", False)
    settings = read_settings({"RATCHET_LOG_FORMAT": "JSON", "RATCHET_ACCESS_LOG": "1"})
    assert (settings.log_format, settings.access_log) == ("json", True)
    for name, value in (("RATCHET_LOG_FORMAT", "xml"), ("RATCHET_ACCESS_LOG", "yes")):
        with pytest.raises(SettingError, match=name):
            read_settings({name: value})
