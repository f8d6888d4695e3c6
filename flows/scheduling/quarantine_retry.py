"""Rows of quarantine that somebody asked over HTTP to try again: the worker does it."""

from __future__ import annotations

import logging
from collections.abc import Collection

import psycopg

from configs.errors import ConfigError
from configs.loading import load_use_cases
from configs.settings import Settings
from store.database.connection import connect, database_url
from store.errors import PredictionsAway
from store.quarantine.rows import Selection, forget_request, where_retry_is_requested

log = logging.getLogger("prefect.worker.ratchet")


def retry_where_requested(settings: Settings, names: Collection[str]) -> None:
    """Try again what waits, under the configuration as its file is now.

    A configuration that cannot be read leaves the rows waiting until it can.
    """
    with connect(database_url(settings), autocommit=True) as conn:
        waiting = sorted(where_retry_is_requested(conn) & set(names))
    if not waiting:
        return
    from store.ingest.retrying import retry_rows  # reads files: only a worker that is asked needs it

    try:
        use_cases = load_use_cases(settings.config_dirs)
    except ConfigError as error:
        log.warning("rows in quarantine cannot be tried again: %s", error)
        return
    with connect(database_url(settings)) as conn:
        for name in waiting:
            if (use_case := use_cases.get(name)) is None:
                continue
            try:
                report = retry_rows(conn, use_case, Selection(requested=True))
            except psycopg.OperationalError:
                raise
            except PredictionsAway as error:
                conn.rollback()
                log.warning("rows of %s in quarantine stay until a retry is requested again: %s", name, error)
                forget_request(conn, name)
                conn.commit()
                continue
            except Exception:  # a defect; the rows stay, and others are not kept from being tried
                conn.rollback()
                log.exception("rows of %s in quarantine cannot be tried again", name)
                forget_request(conn, name)
                conn.commit()
                continue
            log.info("%s: %d rows of quarantine tried, %d refused again", name, report.tried, report.refused)
