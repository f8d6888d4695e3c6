"""The way out after labels that somebody chose: how many labels of audited answers are missing by now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from configs.schema import UseCase
from models.production.record_history import VERDICTS
from store.predictions.audits import AuditDemand, count_audits

OUTCOME = "labels_selected"
"""Of the gate, where labels seem to be chosen and too few rows are protected against that."""


@dataclass(frozen=True)
class ChosenLabels:
    """The newest verdict believed no label; what would let the next one believe some."""

    at: datetime
    """Of the verdict."""
    since: datetime | None
    """When the first of the answers was given that the chosen labels speak of."""
    demand: AuditDemand | None
    """Counted now; None: labels seem to be chosen by their class, which audits do not mend."""
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        counts = dict.fromkeys(("answers", "labelled", "missing", "undrawn"))
        return {
            "at": self.at.isoformat(),
            "since": None if self.since is None else self.since.isoformat(),
            **(counts if self.demand is None else self.demand.as_dict()),
            "sentence": self.sentence,
        }


def find_chosen_labels(conn: psycopg.Connection[Any], use_case: UseCase) -> ChosenLabels | None:
    """What is missing by now; None where the newest verdict did not say that labels may be selected."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT at, evidence->>'outcome' AS outcome, reason, evidence->'selection' AS selection"
            " FROM ledger WHERE use_case = %s AND event = ANY(%s) ORDER BY id DESC LIMIT 1",
            (use_case.name, list(VERDICTS)),
        ).fetchone()
    if row is None or row["outcome"] != OUTCOME:
        return None
    selection = row["selection"] or {}
    if selection.get("since") is None or selection.get("by_class", False):
        return ChosenLabels(row["at"], None, None, f"nothing is promoted, as {row['reason']}")
    since = datetime.fromisoformat(selection["since"])
    counts = count_audits(conn, use_case.name, since=since)
    demand = AuditDemand(
        answers=counts.answers,
        labelled=counts.labelled,
        held_out=counts.labelled,
        others=selection["others_held_out"],
        least=use_case.gate.min_rows,
    )
    told = f"nothing is promoted, as labels may be selected: {demand.sentence(use_case.name)}"
    return ChosenLabels(row["at"], since, demand, f"{told}; answers since {since:%Y-%m-%d %H:%M}")
