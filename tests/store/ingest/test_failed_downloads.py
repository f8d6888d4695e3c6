"""A download that failed is known for some hours, to what starts by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.ingest.failed_downloads import PUT_OFF, failed_lately, forget_failed, note_failed

DATASET = "kaggle/a/b/c.csv"


def test_it_is_known_until_it_may_be_tried_again(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert failed_lately(tmp_path, DATASET, now) is None
    note_failed(tmp_path, DATASET, "no network")
    now = datetime.now(UTC)
    failed = failed_lately(tmp_path, DATASET, now)
    assert failed is not None
    assert (failed.dataset, failed.reason, failed.until - failed.at) == (DATASET, "no network", PUT_OFF)
    assert failed_lately(tmp_path, "kaggle/a/b/d.csv", now) is None
    assert failed_lately(tmp_path, DATASET, now + PUT_OFF) is None
    assert failed_lately(tmp_path, DATASET, now - timedelta(days=1)) is None, "the clock was set back"
    forget_failed(tmp_path, DATASET)
    forget_failed(tmp_path, DATASET)
    assert failed_lately(tmp_path, DATASET, now) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"dataset": 1, "at": "then", "reason": ""}'])
def test_a_note_that_was_cut_off_keeps_nothing_from_being_tried(tmp_path: Path, content: str) -> None:
    note_failed(tmp_path, DATASET, "no network")
    (file,) = (tmp_path / "cache" / "downloads").iterdir()
    file.write_text(content, encoding="utf-8")
    assert failed_lately(tmp_path, DATASET, datetime.now(UTC)) is None
