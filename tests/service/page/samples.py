"""Answers of routes that need weeks of traffic or other servers, in the shape that they have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from playwright.sync_api import Page, Route

from store.drift.page import sanitise_page
from tests.service.page.browsing import Visit
from tests.store.drift.evidently_pages import evidently_page

NOW = datetime.now(UTC).replace(microsecond=0)
MLFLOW = "http://127.0.0.1:5000/#"


def at(days: float) -> str:
    """So many days ago."""
    return (NOW - timedelta(days=days)).isoformat()


def quality() -> dict[str, Any]:
    """Thirty windows: good, falling as the world changes, and good again with the third version."""
    windows: list[dict[str, Any]] = []
    for place in range(30):
        fall = max(0, place - 14) * 0.018 if place < 21 else 0.0
        accuracy = round(0.93 + 0.012 * ((place * 7) % 5 - 2) / 2 - fall + (0.02 if place >= 21 else 0), 4)
        version = 1 if place < 8 else 2 if place < 21 else 3
        windows.append(
            {
                "from": at(29 - place * 0.95), "to": at(29 - (place + 1) * 0.95), "version": version,
                "labelled": 200, "correct": round(200 * accuracy),
                "accuracy": accuracy, "low": accuracy - 0.037, "high": accuracy + 0.029,
            }
        )  # fmt: skip
    correct = sum(one["correct"] for one in windows)
    moves = [("promoted", 1, 2, 21.5), ("rolled_back", 2, 1, 10.2), ("promoted", 2, 3, 9.1)]
    return {
        "use_case": "digits",
        "metric": "accuracy",
        "total": {"labelled": 6000, "correct": correct, "accuracy": round(correct / 6000, 4)},
        "coverage": {
            "answers": 7500, "labelled": 6000, "share": 0.8, "least": 0.74, "most": 0.94, "warning": None,
        },
        "audits": {
            "answers": 375, "labelled": 120, "correct": 108, "right": 0.9, "low": 0.8333, "high": 0.9419,
            "enough": False,
            "sentence": "120 of 375 audited answers since 2026-10-01 00:00 have a label, 90.0% of these are "
            "right (83.3% to 94.2%)",
        },
        "windows": windows,
        "promotions": [
            {"at": at(days), "event": event, "from": old, "to": new} for event, old, new, days in moves
        ],
    }  # fmt: skip


def versions() -> dict[str, Any]:
    """Two that were promoted and one that was not."""

    def one(version: int, accuracy: float, loss: float, verdict: str, aliases: list[str]) -> dict[str, Any]:
        return {
            "version": version, "aliases": aliases, "created_at": at(12 - 4 * version),
            "run_id": f"run-{version}", "verdict": verdict,
            "metrics": {"accuracy": accuracy, "f1_macro": accuracy - 0.004, "log_loss": loss},
            "outcome": {"promote": "beats_production", "reject": "worse"}[verdict],
            "reason": f"accuracy {accuracy}",
            "trigger": "labels", "challenger": "full", "fit": "full", "parent": version - 1 or None,
            "snapshot": "1a9c0d1e2b4f" if version == 1 else "2f3a9c0d1e2b",
            "run": f"00000000-0000-4000-8000-00000000000{version}",
            "links": {
                "mlflow_run": f"{MLFLOW}/experiments/1/runs/run-{version}",
                "mlflow_compare": f"{MLFLOW}/compare-runs?runs=1", "mlflow_model": f"{MLFLOW}/models/digits",
                "prefect_run": "http://127.0.0.1:4200/runs/flow-run/1",
            },
        }  # fmt: skip

    made = [
        one(3, 0.9385, 0.2104, "reject", ["challenger"]),
        one(2, 0.9712, 0.0981, "promote", ["production"]),
        one(1, 0.9543, 0.1512, "promote", ["previous", "original"]),
    ]
    links = {"mlflow_model": f"{MLFLOW}/models/digits", "mlflow_compare": f"{MLFLOW}/compare-runs?runs=2"}
    return {"use_case": "digits", "versions": made, "links": links}


def drift() -> dict[str, Any]:
    """Half of the columns moved, and with them the answers; the day before, none."""
    columns = {
        name: {
            "method": "wasserstein", "value": value, "drifted": value > 0.3, "p_value": p_value,
            "moved": "median 0.31 (0.12 before)" if value > 0.3 else None,
        }
        for name, value, p_value in [
            ("ink", 0.71, 1e-9), ("width", 0.42, 0.0002), ("height", 0.12, 0.2), ("slant", 0.05, 1.0)
        ]
    }  # fmt: skip
    label = {
        "method": "jensenshannon", "value": 0.22, "drifted": True, "p_value": 0.0003,
        "moved": '"7" 31% (10% before)',
    }  # fmt: skip
    rows = {"reference": 4000, "recent": 1000}
    answers = {
        "verdict": "drift", "reason": "1 of 1 columns moved: label", "threshold": 0.1, "rows": rows,
        "columns": {"label": label}, "left_out": {}, "remarks": {},
    }  # fmt: skip
    labels = answers | {
        "verdict": "too_little_evidence",
        "reason": "3 recent and 5000 reference rows; 100 of each are needed",
        "columns": {},
    }
    check = {
        "at": at(0.1), "verdict": "drift", "share": 0.5, "version": 2,
        "share_threshold": 0.25, "threshold": 0.3, "reason": "2 of 4 columns moved by more than 0.3",
        "rows": rows, "columns": columns, "page": True, "retrain": True,
        "left_out": {"sent": "a date, which moves by itself"},
        "remarks": {"slant": "missing in 9% of recent records, 0% before"},
        "parts": {"data": "drift", "answers": "drift", "labels": "too_little_evidence"},
        "moved": {"data": ["ink", "width"], "answers": ["label"]},
        "sentence": "data moved: ink, width (2 of 4 columns); answers moved: label (1 of 1 column)",
        "answers": answers, "labels": labels,
    }  # fmt: skip
    before = check | {
        "at": at(1.1),
        "verdict": "no_drift",
        "share": 0.0,
        "reason": "no column moved",
        "columns": {},
        "moved": {},
        "sentence": "nothing moved",
    }
    return {"use_case": "digits", "checks": [check, before]}


def history() -> dict[str, Any]:
    """A run that promoted and one that did not."""
    run = {
        "id": "1", "kind": "retrain", "status": "succeeded", "trigger": "labels",
        "requested_at": at(2), "started_at": at(2), "finished_at": at(2), "seconds": 41.2,
        "outcome": "promoted", "reason": "accuracy 0.9712 against 0.9543 on 800 rows",
        "version": 2, "rows": {"train": 4000, "judged": 800}, "scores": None, "error": None,
    }  # fmt: skip
    return {
        "use_case": "digits",
        "runs": [run | {"outcome": "rejected", "trigger": "schedule", "version": 3}, run],
    }


REPORT = sanitise_page(
    evidently_page(
        {}, {}, library="""
window.drawDashboard = (_page, _graphs, root) => {
  const said = document.getElementById(root);
  said.textContent = `scripts run, origin ${self.origin}`;
  fetch("/health").catch(() => { said.textContent += ", no network"; });
};
""",
    )
)  # fmt: skip


def answer_with(page: Page, name: str, content: Any) -> None:
    """Answer a route of every use case with a text or a JSON document."""
    body = content if isinstance(content, str) else orjson.dumps(content)
    kind = "text/html" if isinstance(content, str) else "application/json"

    def fulfil(route: Route) -> None:
        route.fulfill(body=body, content_type=kind)

    page.route(f"**/v1/*/{name}", fulfil)


def visit_with(open_page: Callable[..., Visit], part: str, told: Any, **options: Any) -> Visit:
    """The view "Now" of plans, whose `retrain/status` tells this in one of its parts.

    Args:
        options: of the browser's context.
    """
    visit = open_page("", **options)
    status = visit.page.request.get(f"{visit.url}/v1/plans/retrain/status").json()
    assert part in status
    answer_with(visit.page, "retrain/status", status | {part: told})
    visit.go("plans")
    return visit


def answer_with_samples(page: Page) -> None:
    """Answer these routes of every use case with samples."""
    for name, content in (
        ("quality*", quality()),
        ("versions*", versions()),
        ("drift", drift()),
        ("drift/report", REPORT),
        ("retrain/history*", history()),
    ):
        answer_with(page, name, content)
