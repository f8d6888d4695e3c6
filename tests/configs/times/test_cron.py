"""Cron lines and time zones that cannot work are refused when the file is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.times.cron import check_cron, check_timezone


@pytest.mark.parametrize(
    "line",
    [
        "* * * * *",
        "*/15 * * * *",
        "0 3 1,15 * *",
        "5 6-18/2 * jan-mar MON-fri",
        "59 23 31 12 7",
        "1/5 * * * 0",
    ],
)
def test_good_lines(line: str) -> None:
    assert check_cron(line) == line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 3 * *", "has 4 fields; allowed: 5"),
        ("", "has 0 fields"),
        ("60 * * * *", "minute is '60'; allowed: 0 to 59"),
        ("0 24 * * *", "hour is '24'"),
        ("0 0 0 * *", "day is '0'"),
        ("0 0 * 13 *", "month is '13'; allowed: 1 to 12, or jan to dec"),
        ("0 0 * * 8", "weekday is '8'"),
        ("0 0 * * fry", "weekday is 'fry'"),
        ("30-10 * * * *", "minute is '30-10'"),
        ("*/0 * * * *", "minute is '\\*/0'"),
        ("5, * * * *", "minute is '5,'"),
        ("١ * * * *", "minute is"),
    ],
)
def test_bad_lines(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_cron(line)


def test_time_zones() -> None:
    assert check_timezone("Asia/Kolkata") == "Asia/Kolkata"
    for name in ("Mars/Base", "", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(ValueError, match="is unknown; allowed: an IANA name"):
            check_timezone(name)


@pytest.mark.parametrize(
    ("key", "value"), [("retrain", "0 25 * * *"), ("ingest", "hourly"), ("timezone", "Mars/Base")]
)
def test_the_file_is_refused_naming_the_key(configs: Path, key: str, value: str) -> None:
    raw = yaml.safe_load((configs / "plans.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ConfigError, match=rf"plans\.yaml: schedule\.{key}: .*'{re.escape(value)}'"):
        parse_use_case({**raw, "schedule": {key: value}}, source=configs / "plans.yaml")
