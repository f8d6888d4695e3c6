"""A drift check after which nothing has come: what the last one found holds still, and is written down again.

Nothing slow is imported here, so that a command that has nothing to do ends at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import UseCase
from configs.settings import Settings
from models.production.contract import RegistryReader
from models.production.incumbent import find_incumbent
from models.production.registry_rest import open_registry
from models.retraining.backlog import decide_now
from store.database.connection import connect, database_url
from store.drift.checks import DriftCheck, KeptPage, keep_page, last_check, last_page, record_check
from store.drift.marks import arrival_mark

SEEN = "seen"
"""Key in the report of a check: the mark of what it looked at, and when it did."""
LONGEST = timedelta(days=1)
"""After so long all is looked at again, whatever has come."""


def seen_now(conn: psycopg.Connection[Any], use_case: UseCase, version: int) -> dict[str, str]:
    """What a check of a version would look at now."""
    mark = arrival_mark(conn, use_case.name, version, use_case.model_dump_json())
    return {"mark": mark, "at": datetime.now(UTC).isoformat()}


def repeat_check(
    conn: psycopg.Connection[Any], registry: RegistryReader, use_case: UseCase
) -> DriftCheck | None:
    """Write the last check down again, with its page; None: something has come since. The caller commits.

    It counts as a check like any other: what moved has still moved.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    last = last_check(conn, use_case.name)
    seen = None if last is None else last.report.get(SEEN)
    if last is None or seen is None or last.model_version is None:
        return None
    if abs(datetime.now(UTC) - datetime.fromisoformat(seen["at"])) > LONGEST:  # ahead of a clock set back
        return None
    incumbent = find_incumbent(conn, registry, use_case.name)
    if incumbent is None or incumbent.version != last.model_version:
        return None
    if seen_now(conn, use_case, incumbent.version)["mark"] != seen["mark"]:
        return None
    again = record_check(
        conn,
        use_case.name,
        verdict=last.verdict,
        share=last.share,
        report=last.report,
        model_version=last.model_version,
    )
    page = last_page(conn, use_case.name)
    if page is not None and page.mlflow_run == last.mlflow_run:
        keep_page(conn, again, KeptPage(page.mlflow_run, page.digest))
    return last


def repeat_drift(settings: Settings, use_case: UseCase) -> dict[str, Any] | None:
    """The last check, written down again, as its report has it; None: there is something to do.

    That is to look at what has come, or to retrain.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    registry = open_registry(settings.mlflow_uri)
    with connect(database_url(settings)) as conn:
        check = repeat_check(conn, registry, use_case)
        if check is None or decide_now(conn, registry, use_case).verdict == "retrain":
            conn.rollback()
            return None
        conn.commit()
    return {name: value for name, value in check.report.items() if name != SEEN}
