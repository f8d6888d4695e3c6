"""Thirty days in which drift never ends, on a real database: `python -m benchmarks.drift.month`.

A drift check and labels each quarter of an hour, and a retrain whenever the decision says that one is due.
What is decided is decided by the functions of the loop, from the tables: only what a run comes to is given.
Ends with an error where more retrains are started than labels allow, `most_retrains`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.bench_ingest import drop_database, fresh_database
from configs.schema import (
    DriftPart,
    FieldConfig,
    ModelConfig,
    RecordConfig,
    RetrainConfig,
    TargetConfig,
    UseCase,
)
from configs.settings import CHECKOUT
from models.drift.decision import DriftDecision
from models.drift.findings import DriftFindings
from models.production import ledger
from models.retraining.backlog import ProductionFacts, decide, standing
from models.retraining.triggers import AGAIN_AFTER
from store.database.connection import connect
from store.database.embedded import EmbeddedPostgres
from store.drift.checks import record_check
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.feedback.rows import last_arrival
from store.runs import lifecycle

RESULTS = CHECKOUT / "benchmarks" / "results" / "drift_month.json"
NAME = "apples"
USE_CASE = UseCase(
    name=NAME,
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    retrain=RetrainConfig(max_age_days=None),
)
CHECKS = 30 * 24 * 4
FIRST, NEW = 1000, 300
"""Labels at first, and how many of them production has not learned from."""
PARTS: tuple[DriftPart, ...] = ("data", "answers", "labels")

Labels = Literal["none", "new", "corrected", "given_again"]
Ending = Literal["rejected", "promoted", "rolled_back", "canary_ended"]


@dataclass(frozen=True)
class Scenario:
    """What lasts, what labels come, and what becomes of each challenger."""

    moved: tuple[DriftPart, ...]
    labels: Labels = "new"
    ending: Ending = "rejected"
    retrain_on: tuple[DriftPart, ...] = ("data", "labels")
    flips: bool = False
    """Whether every second check finds nothing."""
    a_check: int = 10
    """Labels that come with each check; corrected and given again are those of the first hundred rows."""


SCENARIOS = {
    "labels drift lasts": Scenario(("labels",)),
    "answers drift lasts, no label comes": Scenario(("answers",), "none", retrain_on=("answers",)),
    "all three last": Scenario(PARTS, retrain_on=PARTS),
    "all three, on and off": Scenario(PARTS, retrain_on=PARTS, flips=True),
    "all three, one label a check": Scenario(PARTS, retrain_on=PARTS, a_check=1),
    "promoted, and rolled back half an hour later": Scenario(PARTS, ending="rolled_back"),
    "a canary, taken back half an hour later": Scenario(PARTS, ending="canary_ended"),
    "100 labels corrected again and again": Scenario(PARTS, "corrected"),
    "100 labels taken back and given again": Scenario(PARTS, "given_again"),
    "every challenger wins and stays": Scenario(PARTS, ending="promoted"),
}
UNTIL_TAKEN_BACK = 2
"""Checks."""


@dataclass
class Month:
    """One use case, check by check."""

    conn: psycopg.Connection[Any]
    scenario: Scenario
    version: int = 1
    retrains: list[int] = field(default_factory=list)
    """At which check each was started."""

    def __post_init__(self) -> None:
        """Production has won, and has learned from all but the newest labels."""
        self.use_case = USE_CASE.model_copy(
            update={"drift": USE_CASE.drift.model_copy(update={"retrain_on": self.scenario.retrain_on})}
        )
        self._names, self._rows, self._labels, self._versions = count(), count(), count(), count(2)
        self._snapshots: dict[int, str] = {}
        self._taken_back_at: int | None = None
        self._add(FIRST - NEW)
        self._snapshots[1] = self._snapshot()
        self._add(NEW)
        ledger.record(self.conn, NAME, "promoted", actor="month", reason="it won", to_version=1)
        self._tried = 1
        self.conn.commit()

    def pass_checks(self, checks: int) -> list[int]:
        """So many quarters of an hour; returns at which of them a retrain was started."""
        for check in range(checks):
            if check == self._taken_back_at:
                self._take_version_back()
            self._bring_labels()
            self._look(check)
            self.conn.commit()
            if self._is_due():
                self.retrains.append(check)
                self._retrain(check)
            self.conn.commit()
        return self.retrains

    def _bring_labels(self) -> None:
        scenario = self.scenario
        if scenario.labels == "new":
            self._add(scenario.a_check)
        elif scenario.labels != "none":
            names = [f"i:{next(self._rows) % 100}" for _ in range(scenario.a_check)]
            if scenario.labels == "given_again":
                take_back(self.conn, NAME, LabelSelection(tuple(names)), actor="month", reason="wrong")
            self._say(names, str(next(self._labels) % 7))

    def _add(self, labels: int) -> None:
        self._say([f"i:{next(self._names)}" for _ in range(labels)], "good")

    def _say(self, names: list[str], label: str) -> None:
        records = [json.dumps({"weight": int(name[2:])}) for name in names]
        add_feedback(self.conn, NAME, FeedbackBatch(names, records, [label] * len(names), "month"))
        self.conn.commit()

    def _look(self, check: int) -> None:
        """A drift check of the version that serves, as the flow stores it."""
        moved = () if self.scenario.flips and check % 2 else self.scenario.moved
        data, answers, labels = (_decision(part in moved) for part in PARTS)
        found = DriftFindings(data, answers, labels, self.scenario.retrain_on)
        record_check(
            self.conn, NAME, verdict=found.verdict, share=None, report=found.as_dict(),
            model_version=self.version,
        )  # fmt: skip

    def _is_due(self) -> bool:
        facts = ProductionFacts(self.version, self._snapshots[self.version], datetime.now(UTC))
        return decide(self.conn, self.use_case, standing(self.conn, NAME, facts)).verdict == "retrain"

    def _retrain(self, check: int) -> None:
        """A run that ends as the scenario has it."""
        run_id = lifecycle.request_run(self.conn, NAME, "retrain", "drift")
        token = lifecycle.start_run(self.conn, run_id)
        made = self._tried = next(self._versions)
        self._snapshots[made] = self._snapshot()
        ending = self.scenario.ending
        if ending in ("promoted", "rolled_back"):
            ledger.record(
                self.conn, NAME, "promoted", actor="month", reason="it won", from_version=self.version,
                to_version=made,
            )  # fmt: skip
            self.version = made
        if ending in ("rolled_back", "canary_ended"):
            self._taken_back_at = check + UNTIL_TAKEN_BACK
        result = {"outcome": ending, "snapshot": self._snapshots[made]}
        lifecycle.finish_run(self.conn, run_id, token, "succeeded", result)

    def _take_version_back(self) -> None:
        """What probation, or a look at a canary, writes down."""
        if self.scenario.ending == "rolled_back":
            self.version = 1
        ledger.record(
            self.conn, NAME, "rolled_back" if self.scenario.ending == "rolled_back" else "canary_ended",
            actor="month", reason="worse", from_version=self._tried,
            to_version=self.version, evidence={"snapshot": self._snapshots[self._tried]},
        )  # fmt: skip

    def _snapshot(self) -> str:
        """All labels so far, as a run reads them."""
        digest = f"{len(self._snapshots):064}"
        self.conn.execute(
            "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq,"
            " last_seq) VALUES (%s, %s, '', 1, 1, 0, 1, %s)",
            (digest, NAME, last_arrival(self.conn, NAME)),
        )
        return digest


def _decision(has_moved: bool) -> DriftDecision:
    verdict: Literal["drift", "no_drift"] = "drift" if has_moved else "no_drift"
    return DriftDecision(verdict, 0.5 if has_moved else 0.0, 0.1, 0.1, {}, 2000, 500, verdict)


def most_retrains(scenario: Scenario, checks: int) -> int:
    """How many retrains labels allow: one, and then one for a tenth of all that ever came.

    Where every challenger wins and stays, each has learned what came, and `min_labels` bring the next.
    """
    least = USE_CASE.retrain.min_labels
    came = 0 if scenario.labels == "none" else checks * scenario.a_check
    if scenario.ending == "promoted":
        return 1 + came // least
    growth = math.log((FIRST + came) / FIRST) / -math.log(1 - AGAIN_AFTER)
    return 1 + math.floor(min(came / least, growth + 1))


@dataclass(frozen=True)
class Counted:
    """Retrains of one scenario."""

    scenario: str
    retrains: int
    most: int
    first_day: int


def play(conn: psycopg.Connection[Any], name: str, checks: int = CHECKS) -> Counted:
    """One scenario, on a database of its own."""
    at = Month(conn, SCENARIOS[name]).pass_checks(checks)
    return Counted(name, len(at), most_retrains(SCENARIOS[name], checks), sum(check < 96 for check in at))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play every scenario, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    chosen = parser.parse_args(arguments)
    days = chosen.days
    counted, console = [], Console()
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", {"fsync": "off"})
        server.start()
        try:
            for name in (name for name in SCENARIOS if chosen.only in name):
                url = fresh_database(server.url)
                with connect(url, autocommit=True) as conn:
                    counted.append(play(conn, name, days * 96))
                console.log(f"{name}: {counted[-1].retrains}")
                console.file.flush()
                drop_database(server.url, url)
        finally:
            server.stop()
    table = Table("scenario", "retrains", "of these on the first day", "labels allow")
    for one in counted:
        table.add_row(one.scenario, str(one.retrains), str(one.first_day), str(one.most))
    console.print(table)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(one) for one in counted], indent=2) + "\n", encoding="utf-8")
    return int(any(one.retrains > one.most for one in counted))


if __name__ == "__main__":
    sys.exit(main())
