"""What is old goes once a day; what stands in the way of that ends no worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import read_settings
from flows.retention import daily
from flows.retention.daily import prune_one


@pytest.mark.parametrize("text", [None, "name: tides\nkind: [tabular\n", "name: tides\n"])
def test_a_file_that_was_edited_wrongly_or_taken_away_leaves_what_is_old_to_the_next_day(
    text: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "configs").mkdir()
    if text is not None:
        (tmp_path / "configs" / "tides.yaml").write_text(text)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_CONFIGS": str(tmp_path / "configs")})
    with caplog.at_level("WARNING"):
        prune_one(settings, "tides")
    assert "tides: what is old stays for now: " in caplog.text


@pytest.mark.parametrize(
    "fault", [PermissionError(13, "Permission denied", "done"), OSError(30, "Read-only")]
)
def test_a_folder_that_may_not_be_touched_leaves_what_is_old_to_the_next_day(
    fault: OSError, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(daily, "open_context", lambda *_: None)
    monkeypatch.setattr(daily, "prune", denied)
    with caplog.at_level("WARNING"):
        prune_one(read_settings({"RATCHET_HOME": str(tmp_path)}), "tides")
    assert f"tides: what is old stays for now: {fault}" in caplog.text
