"""What is told of all use cases, whatever is wrong with one of them, and whether all is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from configs.settings import read_settings
from flows.stack.specs import POSTGRES
from flows.status import reading
from flows.status.reading import Status, read_status
from flows.status.servers import ServerStatus
from store.database.faults import READ_ONLY
from tests.flows.scheduling.test_dispatching import Elsewhere
from tests.ports import closed_port

UP = ServerStatus(POSTGRES, "up", True, None, 7)


def test_production_of_another_database_hides_no_other_use_case(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url,
        "MLFLOW_TRACKING_URI": tmp_path.as_uri(), "RATCHET_USE_CASES": "digits,plans",
        "PREFECT_API_URL": f"http://127.0.0.1:{closed_port()}/api", "RATCHET_PORT": str(closed_port()),
    }  # fmt: skip
    monkeypatch.setattr(reading, "open_registry", lambda _uri: Elsewhere("digits"))
    odd, plans = read_status(read_settings(environ)).use_cases
    assert (odd.production, odd.labels, odd.new_labels) == (1, 0, 0)
    assert str(odd.problem).startswith("no snapshot has the digest of another database")
    assert (plans.production, plans.problem, plans.labels) == (1, None, 0)


@pytest.mark.parametrize(
    ("server", "well"),
    [
        (UP, True),
        (replace(UP, trouble="it ended, and was started again"), True),
        (replace(UP, trouble=READ_ONLY), False),
        (replace(UP, state="starting"), False),
    ],
)
def test_all_is_well_only_where_something_can_be_stored(server: ServerStatus, well: bool) -> None:
    assert Status((server,), (), ()).is_well is well
