"""A command that runs a flow in its own process, while another command does the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from configs.settings import read_settings
from flows import launch, loop
from store.errors import RunBusy
from store.runs.lifecycle import start_run


def test_of_two_commands_that_find_one_queued_run_the_later_is_told_who_has_it(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def skipped(_use_case: str, *, trigger: str, run_id: str, return_state: bool) -> object:
        """What the flow comes to where the other command was first."""
        assert (trigger, return_state) == ("person", True)
        start_run(conn, run_id)
        begun.append(run_id)
        return SimpleNamespace(is_cancelled=lambda: False, result=lambda: None)

    monkeypatch.setattr(loop, "retrain", skipped)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    with pytest.raises(RunBusy) as told:
        launch.retrain_now(settings, "digits")
    assert begun == [told.value.running_id]
