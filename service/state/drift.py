"""What GET /v1/{use_case}/drift and /v1/{use_case}/drift/report show: drift checks, and Evidently's page."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from models.errors import RegistryUnavailable
from models.production.contract import RegistryReader
from service.errors import NoReport, RegistryAway, StrangeReport
from service.http.exchange import Reply
from service.storage.database import Database
from store.drift.checks import DriftCheck, last_page, latest_checks
from store.drift.page import content_security_policy, sanitise_page
from store.errors import PageError

CHECKS = 20
MOST_CHECKS = 500
"""Default and maximum of `limit`."""
PAGE = "drift.html"
"""Name of the page among the files of its MLflow run."""
_POLICY = "sandbox allow-scripts; {page}; frame-ancestors 'self'"
"""Content-Security-Policy: the page's own, and a sandbox that keeps it from this server and all others."""


def describe_drift(database: Database, use_case: str, limit: int) -> bytes:
    """The newest `limit` checks, newest first, as JSON.

    Raises:
        DatabaseAway: the database does not answer.
    """
    checks = database.read(lambda conn: latest_checks(conn, use_case, limit))
    return orjson.dumps({"use_case": use_case, "checks": [_describe(check) for check in checks]})


def read_report(database: Database, reader: RegistryReader, use_case: str) -> Reply:
    """The HTML page of the newest check that has one.

    The page is read whole before anything is sent, so that half a page is never taken for one. Pages of
    earlier releases hold values that would run as code, so each is put together anew from its parts.

    Raises:
        NoReport: no check has a page.
        StrangeReport: the page cannot be shown without running what is in it.
        RegistryAway: MLflow, which keeps it, does not answer.
        DatabaseAway: the database does not answer.
    """
    kept = database.read(lambda conn: last_page(conn, use_case))
    try:
        stored_page = None if kept is None else reader.artifact(kept.mlflow_run, PAGE)
    except RegistryUnavailable as error:
        raise RegistryAway(str(error)) from error
    if kept is None or stored_page is None:
        raise NoReport(use_case)
    if kept.digest not in (None, sha256(stored_page).hexdigest()):
        raise StrangeReport(use_case, "it is not the page that the check kept: somebody has changed it")
    try:
        page = sanitise_page(stored_page.decode("utf-8"))
    except (PageError, UnicodeDecodeError) as error:
        raise StrangeReport(use_case, str(error)) from error
    policy = _POLICY.format(page=content_security_policy(page))
    return Reply(
        200,
        page.encode(),
        [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode()),
            (b"cache-control", b"no-cache"),
        ],
    )


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
        "left_out": report.get("left_out", {}),
        "remarks": report.get("remarks", {}),
        "parts": report.get("parts", {"data": check.verdict}),
        "moved": check.moved,
        "sentence": check.sentence,
        "retrain": check.calls_for_retrain,
        "answers": _part(report.get("answers")),
        "labels": _part(report.get("labels")),
        "page": check.mlflow_run is not None,
    }


def _part(decided: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was decided of answers or labels; None: an earlier release did not look at them."""
    if decided is None:
        return None
    rows = {"reference": decided["reference_rows"], "recent": decided["current_rows"]}
    shown = ("verdict", "reason", "threshold", "columns", "left_out", "remarks")
    return {key: decided[key] for key in shown} | {"rows": rows}
