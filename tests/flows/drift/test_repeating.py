"""A drift check after which nothing has come is written down again; whatever has come makes another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from configs.settings import CHECKOUT
from flows.drift.checking import log_drift
from flows.drift.repeating import SEEN, repeat_check, repeat_drift
from store.drift.checks import DriftCheck, latest_checks
from store.feedback.revisions.taking_back import LabelSelection, take_back
from tests.flows.drift.test_checking import check, evenly, orchard, send_labels, serve
from tests.flows.retrain.turns import Orchard

__all__ = ["orchard"]
pytestmark = pytest.mark.timeout(300)


def repeated(orchard: Orchard) -> DriftCheck | None:
    with orchard.context.connect() as conn:
        found = repeat_check(conn, orchard.registry, orchard.context.use_case)
        conn.commit()
    return found


def checks(orchard: Orchard) -> list[DriftCheck]:
    with orchard.context.connect() as conn:
        return latest_checks(conn, orchard.name, 10)


def serve_labelled(orchard: Orchard) -> None:
    answered = serve(orchard, 300, evenly)
    send_labels(orchard, answered, ["good" if one[1] > 0.5 else "poor" for one in answered])


def test_with_nothing_new_the_last_check_is_written_down_again_with_its_page(
    orchard: Orchard, tmp_path: Path
) -> None:
    assert repeated(orchard) is None, "there was none"
    serve_labelled(orchard)
    report = check(orchard, tmp_path)
    log_drift(orchard.context, report)
    assert repeated(orchard) is not None
    again, first = checks(orchard)
    assert again.at > first.at
    assert (again.report, again.verdict, again.mlflow_run) == (first.report, first.verdict, first.mlflow_run)
    assert first.mlflow_run is not None
    told = repeat_drift(orchard.context.settings, orchard.context.use_case)
    assert told == report.findings.as_dict(), "as a whole check says it"
    assert len(checks(orchard)) == 3


def predict(orchard: Orchard) -> Orchard:
    serve(orchard, 1, evenly, seed=9)
    return orchard


def label(orchard: Orchard) -> Orchard:
    orchard.take_in(1, edge=0.5, seed=9)
    return orchard


def forget_labels(orchard: Orchard) -> Orchard:
    with orchard.context.connect() as conn:
        row = conn.execute("SELECT identity FROM feedback ORDER BY seq LIMIT 1 OFFSET 5").fetchone()
        assert row is not None
        take_back(conn, orchard.name, LabelSelection((row[0],)), actor="ann", reason="absurd")
    return orchard


def delete_old_predictions(orchard: Orchard) -> Orchard:
    with orchard.context.connect() as conn:
        conn.execute("DELETE FROM prediction WHERE predicted_at = (SELECT min(predicted_at) FROM prediction)")
    return orchard


def hold_a_source(orchard: Orchard) -> Orchard:
    with orchard.context.connect() as conn:
        conn.execute(
            "INSERT INTO label_source (use_case, name, held_since) VALUES (%s, 'crowd', now())",
            (orchard.name,),
        )
    return orchard


def configure(orchard: Orchard) -> Orchard:
    return orchard.changed(drift={"threshold": 0.3})


def wait_a_day(orchard: Orchard) -> Orchard:
    long_ago = (datetime.now(UTC) - timedelta(days=1, minutes=1)).isoformat()
    with orchard.context.connect() as conn:
        conn.execute("UPDATE drift_check SET report = jsonb_set(report, '{seen,at}', %s)", (Jsonb(long_ago),))
    return orchard


def ahead(orchard: Orchard) -> None:
    """Have what was served lie two hours ahead, but for the first, as if the clock had been set back."""
    with orchard.context.connect() as conn:
        conn.execute(
            "UPDATE prediction SET predicted_at = predicted_at + interval '2 hours'"
            " WHERE id <> (SELECT min(id) FROM prediction)"
        )


def set_back_by_two_days(orchard: Orchard) -> Orchard:
    coming = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    with orchard.context.connect() as conn:
        conn.execute("UPDATE drift_check SET report = jsonb_set(report, '{seen,at}', %s)", (Jsonb(coming),))
    return orchard


def test_what_is_served_after_the_clock_was_set_back_makes_another(orchard: Orchard, tmp_path: Path) -> None:
    serve_labelled(orchard)
    ahead(orchard)
    check(orchard, tmp_path)
    assert repeated(orchard) is not None
    assert repeated(predict(orchard)) is None


@pytest.mark.parametrize(
    "happens",
    [
        predict,
        label,
        forget_labels,
        delete_old_predictions,
        hold_a_source,
        configure,
        wait_a_day,
        set_back_by_two_days,
    ],
)
def test_whatever_a_check_would_look_at_makes_another(
    orchard: Orchard, tmp_path: Path, happens: Callable[[Orchard], Orchard]
) -> None:
    serve_labelled(orchard)
    check(orchard, tmp_path)
    assert repeated(orchard) is not None
    assert repeated(happens(orchard)) is None


def test_another_version_in_production_makes_another(orchard: Orchard, tmp_path: Path) -> None:
    orchard.take_in(100, edge=0.5, seed=5)
    assert orchard.retrain().version == 2
    serve_labelled(orchard)
    before = check(orchard, tmp_path).model_version
    assert repeated(orchard) is not None
    orchard.registry.set_alias(orchard.name, "production", 3 - before)
    assert repeated(orchard) is None


@pytest.mark.slow
def test_where_a_retrain_is_due_nothing_is_repeated(orchard: Orchard, tmp_path: Path) -> None:
    serve_labelled(orchard)
    check(orchard, tmp_path)
    due: dict[str, Any] = {"every_labels": 10, "min_labels": 10}
    changed = orchard.changed(retrain=due)
    with orchard.context.connect() as conn:
        conn.execute("DELETE FROM drift_check")
    check(changed, tmp_path)
    assert repeat_drift(changed.context.settings, changed.context.use_case) is None
    assert len(checks(changed)) == 1


@pytest.mark.slow
def test_the_report_that_others_read_has_no_mark(orchard: Orchard, tmp_path: Path) -> None:
    serve_labelled(orchard)
    assert SEEN not in check(orchard, tmp_path).findings.as_dict()
    assert checks(orchard)[0].report.keys() >= {SEEN}


def test_a_command_that_has_nothing_to_do_imports_nothing_slow() -> None:
    code = (
        "import sys, flows.drift.repeating\n"
        "slow = {'mlflow', 'prefect', 'pandas', 'scipy.stats', 'sklearn', 'evidently', 'onnxruntime'}\n"
        "assert not slow & sys.modules.keys(), slow & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
