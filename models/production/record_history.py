"""What the record of new models said at each verdict, and what is missing for the next promotion by it.

All of it is read from the ledger: each verdict has the record that it was decided by in its evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import psycopg
from psycopg.rows import class_row

from configs.schema import GateConfig, UseCase
from models.production.ledger import MOVES, Event
from models.production.tags import CHALLENGER_TAG
from models.shadows.evidence import RecordGain
from store.pauses import find_pause
from store.shadows import read_periods

VERDICTS: tuple[Event, ...] = ("promoted", "rejected", "too_little_evidence", "held_back")
MOST_VERDICTS = 60
"""Newest rows that are told: verdicts, and moves of production without one."""
FIGURES = ("rows", "periods", "gain", "lower", "right", "lost", "line", "age")
"""Of a record, as they are told."""
WINS = ("first_model", "beats_production", "beats_majority", "record_beats_production")
"""Outcomes of the gate that promote, unless something else comes between."""
_BESIDES: Mapping[str, str] = {
    "forgets": "the challenger would forget what the original version was judged on",
    "kept_not_proven": "the challenger may forget what the original version was judged on",
    "slice_worse": "the challenger is surely worse than production on a part of the records",
    "slice_below_floor": "the challenger is surely below what is asked for on a part of the records",
    "miscalibrated": "the challenger's scores are further off than gate.most_calibration_error allows",
    "too_large": "the challenger is larger on disk than gate.most_bytes allows",
    "too_slow": "the challenger is slower to answer than gate.most_latency_ms allows",
    "one_source": "it rests on the labels of one source; a person may let that count",
    "labels_selected": "the newest labels may be selected, and prove nothing",
    "labels_left_out": "labels that production knows were left out of the comparison",
    "production_gone": "production cannot be had, so nothing can be compared with it",
    "too_few_rows": "too few rows were held out to see whether this challenger is worse",
    "no_score": "the metric is not defined on the held-out rows",
}
"""Outcome to what keeps a record that is enough from promoting."""


@dataclass(frozen=True)
class JudgedRecord:
    """One verdict with its record, or one move of production without a verdict."""

    at: datetime
    event: Event
    outcome: str | None
    """Of the gate (`GateDecision.outcome`); None: nothing was judged."""
    production: int | None
    """Version that served before, which the challenger was judged against."""
    version: int | None
    """The challenger's; of a move, the one that serves since."""
    challenger: str | None
    """Its name in the configuration."""
    record: Mapping[str, Any] | None
    """A `RecordGain` as plain values; None: nothing was known."""

    @property
    def gain(self) -> RecordGain | None:
        """The record as it was weighed."""
        return None if self.record is None else RecordGain.from_dict(self.record)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = self.record or {}
        return {
            "at": self.at.isoformat(),
            "event": self.event,
            "outcome": self.outcome,
            "production": self.production,
            "version": self.version,
            "challenger": self.challenger,
        } | {name: figures.get(name) for name in FIGURES}


def record_facts(conn: psycopg.Connection[Any], use_case: UseCase) -> dict[str, Any]:
    """The last verdict's record, what it says, what is missing for the next promotion, and those before it.

    `series` is oldest first, at most `MOST_VERDICTS` rows of the ledger.
    """
    series = read_series(conn, use_case.name)
    last = next((one for one in reversed(series) if one.event in VERDICTS), None)
    gain = None if last is None else last.gain
    return {
        "last": None if last is None else last.as_dict(),
        "sentence": None if gain is None else gain.shown,
        "missing": what_is_missing(
            use_case.gate,
            series,
            is_paused=find_pause(conn, use_case.name) is not None,
            doubted=count_doubted(conn, use_case),
        ),
        "series": [one.as_dict() for one in series],
    }


def read_series(
    conn: psycopg.Connection[Any], use_case: str, limit: int = MOST_VERDICTS
) -> list[JudgedRecord]:
    """The newest verdicts and moves of production, oldest first."""
    with conn.cursor(row_factory=class_row(JudgedRecord)) as cursor:
        rows = cursor.execute(
            "SELECT at, event, from_version AS production, to_version AS version,"
            " evidence->>'outcome' AS outcome, evidence->'record' AS record,"
            " CASE WHEN event = ANY(%(verdicts)s) THEN (SELECT made.evidence->'tags'->>%(tag)s"
            " FROM ledger AS made WHERE made.use_case = judged.use_case AND made.event = 'registered'"
            " AND made.to_version = judged.to_version AND made.id < judged.id"
            " ORDER BY made.id DESC LIMIT 1) END AS challenger"
            " FROM ledger AS judged WHERE use_case = %(use_case)s AND event = ANY(%(told)s)"
            " ORDER BY id DESC LIMIT %(limit)s",
            {
                "use_case": use_case,
                "verdicts": list(VERDICTS),
                "told": [*VERDICTS, *MOVES],
                "tag": CHALLENGER_TAG,
                "limit": limit,
            },
        ).fetchall()
    return rows[::-1]


def count_doubted(conn: psycopg.Connection[Any], use_case: UseCase) -> int:
    """How many periods without a break, up to the newest, count for nothing, as their labels seem chosen."""
    newest = read_periods(conn, use_case.name, newest=MOST_VERDICTS)[::-1]
    return sum(1 for _ in takewhile(lambda one: one.evidence.get("doubt") is not None, newest))


def what_is_missing(
    gate: GateConfig, series: Sequence[JudgedRecord], *, is_paused: bool = False, doubted: int = 0
) -> str:
    """What must come before the record promotes, as the last verdict left it.

    Args:
        doubted: newest periods that count for nothing.
    """
    paused = "promotion is paused and must be resumed; " if is_paused else ""
    missing = _missing(gate, series)
    was_moved = not series or series[-1].event == "promoted" or series[-1].event in MOVES
    return paused + missing + ("" if was_moved or gate.shadows.keep == 0 else _doubt(doubted))


def _doubt(periods: int) -> str:
    """Why the newest periods are not in the record, and what would change that."""
    if not periods:
        return ""
    which = "the newest period counts" if periods == 1 else f"the newest {periods} periods count"
    return (
        f"; {which} for nothing, as labels since production was trained seem to be chosen: a period counts "
        "again once its labels do not, or once production has moved by audited answers"
    )


def _missing(gate: GateConfig, series: Sequence[JudgedRecord]) -> str:
    if gate.shadows.keep == 0:
        return "no record is kept (gate.shadows.keep: 0): held-out rows alone decide"
    if not series:
        return "nothing has been judged yet; the first model needs no record"
    last = series[-1]
    if last.event == "promoted":
        return (
            f"version {last.version} was promoted: what staying with it loses is counted from the next "
            "retrain on"
        )
    if last.event in MOVES:
        return (
            f"production was moved to version {last.version}: only labels that come from now on tell "
            "what staying with it loses"
        )
    if last.event == "held_back" and last.outcome in WINS:
        return "nothing else: the last challenger won while promotion was paused"
    gain = last.gain
    if gain is None:
        return (
            "no record yet: challengers of earlier retrains are asked about the labels that come after them, "
            f"and {gate.min_rows} of those are needed"
        )
    return gain.missing or _besides(last)


def _besides(last: JudgedRecord) -> str:
    """Why a record that is enough did not promote."""
    if last.outcome in WINS:
        return "nothing: production moved while this challenger was judged; the next one may be promoted"
    against = "held-out rows spoke against this challenger; the next one may be promoted"
    return f"the line is crossed; but {_BESIDES.get(last.outcome or '', against)}"
