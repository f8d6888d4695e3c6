"""Drift checks over HTTP, and the page that Evidently drew of the last one."""

from __future__ import annotations

from typing import Any

import orjson

from features.drift_checks import DriftCheck, last_page, latest_checks
from models.errors import RegistryUnavailable
from models.mlflow_rest import RegistryReader
from service.database import Database
from service.errors import NoReport, RegistryAway
from service.exchange import Reply

CHECKS = 20
MOST_CHECKS = 500
PAGE = "drift.html"
"""Name of the page among the files of its MLflow run."""
_POLICY = (
    b"sandbox allow-scripts; default-src 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
)
"""The page is made of users' data and runs scripts: browsers keep it from this server and all others."""
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"cache-control", b"no-cache"),
)


def describe_drift(database: Database, use_case: str, limit: int) -> bytes:
    """The newest checks, newest first.

    Raises:
        DatabaseAway: the database does not answer.
    """
    checks = database.run(lambda conn: latest_checks(conn, use_case, limit))
    return orjson.dumps({"use_case": use_case, "checks": [_describe(check) for check in checks]})


def read_page(database: Database, reader: RegistryReader, use_case: str) -> Reply:
    """The page of the newest check that has one; read whole, so that half a page is never sent as one.

    Raises:
        NoReport: no check has.
        RegistryAway: MLflow, which keeps it, does not answer.
        DatabaseAway: the database does not answer.
    """
    run_id = database.run(lambda conn: last_page(conn, use_case))
    try:
        page = None if run_id is None else reader.artifact(run_id, PAGE)
    except RegistryUnavailable as error:
        raise RegistryAway(str(error)) from error
    if page is None:
        raise NoReport(use_case)
    return Reply(200, page, [(b"content-type", b"text/html; charset=utf-8"), *_HEADERS])


def _describe(check: DriftCheck) -> dict[str, Any]:
    report = check.report
    return {
        "at": check.at,
        "verdict": check.verdict,
        "share": check.share,
        "version": check.model_version,
        "reason": report.get("reason"),
        "share_threshold": report.get("share_threshold"),
        "threshold": report.get("threshold"),
        "rows": {"reference": report.get("reference_rows"), "recent": report.get("current_rows")},
        "columns": report.get("columns", {}),
        "page": check.mlflow_run is not None,
    }
