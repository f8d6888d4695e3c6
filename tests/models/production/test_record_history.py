"""The record of new models as verdicts had it: over time, in words, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from configs.schema import (
    FieldConfig,
    GateConfig,
    ModelConfig,
    RecordConfig,
    ShadowsConfig,
    TargetConfig,
    UseCase,
)
from flows.cli.terminal.status_lines import use_case_lines
from flows.status.use_cases import UseCaseStatus
from models.gate.checks import judge
from models.gate.decision import GateDecision, GateOutcome
from models.production import ledger
from models.production.pausing import pause, resume
from models.production.promotion import note_verdict
from models.production.record_history import MOST_VERDICTS, record_facts
from models.shadows.evidence import RecordGain
from store.runs.lifecycle import request_run
from store.shadows import add_period
from tests.models.production.test_promotion import USE_CASE, MemoryRegistry, promote_version

APPLES = UseCase(
    name=USE_CASE,
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)
GAIN = RecordGain(rows=800, periods=3, gain=0.004, error=0.001, lower=0.003, lost=0.006, line=0.01, age=2)
CROSSED = replace(GAIN, lost=0.0121, age=3)


def decide(record: RecordGain | None, outcome: GateOutcome = "not_proven") -> GateDecision:
    decision = judge(GateConfig(), rows=10, challenger=0.9, production=0.8, differences=None, record=record)
    return replace(decision, outcome=outcome)


def register(conn: psycopg.Connection[Any], version: int, challenger: str = "blend") -> None:
    tags = {"tags": {"ratchet.challenger": challenger}}
    ledger.record(conn, USE_CASE, "registered", actor="retrain", reason="", to_version=version, evidence=tags)


def keep(
    conn: psycopg.Connection[Any],
    version: int,
    record: RecordGain | None,
    *,
    event: ledger.Event = "too_little_evidence",
    outcome: GateOutcome = "not_proven",
) -> None:
    """A verdict that moves nothing."""
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    decision = decide(record, outcome)
    note_verdict(
        conn, USE_CASE, event, reason=decision.reason, decision=decision, production=1, version=version,
        actor="schedule", run_id=run_id, challenger="blend",
    )  # fmt: skip
    conn.execute("DELETE FROM run")


def test_verdicts_and_moves_are_told_oldest_first_with_their_figures(conn: psycopg.Connection[Any]) -> None:
    registry = MemoryRegistry()
    register(conn, 1, "full")
    promote_version(conn, registry, 1)
    register(conn, 2)
    keep(conn, 2, GAIN)
    register(conn, 3)
    promote_version(conn, registry, 3, decide(CROSSED, "record_beats_production"), against=1)
    ledger.record(conn, USE_CASE, "rolled_back", actor="ann", reason="", from_version=3, to_version=1)
    facts = record_facts(conn, APPLES)
    told = [
        (one["event"], one["outcome"], one["production"], one["version"], one["challenger"], one["lost"])
        for one in facts["series"]
    ]
    assert told == [
        ("promoted", "first_model", None, 1, "full", None),
        ("too_little_evidence", "not_proven", 1, 2, "blend", 0.006),
        ("promoted", "record_beats_production", 1, 3, "blend", 0.0121),
        ("rolled_back", None, 3, 1, None, None),
    ]
    assert facts["last"] == facts["series"][2]
    figures = {
        "rows": 800,
        "periods": 3,
        "gain": 0.004,
        "lower": 0.003,
        "lost": 0.0121,
        "line": 0.01,
        "age": 3,
    }
    assert facts["last"].items() >= figures.items()
    assert facts["sentence"] == CROSSED.shown
    assert facts["missing"] == (
        "production was moved to version 1: only labels that come from now on tell what staying with it loses"
    )


@pytest.mark.parametrize(
    ("record", "outcome", "missing"),
    [
        (None, "not_proven", "no record yet: challengers of earlier retrains are asked about the labels"),
        (GAIN, "not_proven", "must lose 0.0040 more to come to the line of 0.0100, about 1 retrain at this"),
        (replace(GAIN, gain=0.0015), "worse", "about 3 retrains at this gain"),
        (replace(GAIN, lower=-0.001), "worse", "the gain must be surely above 0 (at least -0.0010 now)"),
        (CROSSED, "forgets", "but the challenger would forget what the original version was judged on"),
        (CROSSED, "one_source", "but it rests on the labels of one source"),
        (CROSSED, "worse", "the line is crossed; but held-out rows spoke against this challenger"),
        (CROSSED, "record_beats_production", "production moved while this challenger was judged"),
    ],
)
def test_what_is_missing_is_said(
    conn: psycopg.Connection[Any], record: RecordGain | None, outcome: GateOutcome, missing: str
) -> None:
    keep(conn, 2, record, event="rejected", outcome=outcome)
    assert missing in record_facts(conn, APPLES)["missing"]


def test_a_gain_that_crossed_and_is_gone_does_not_speak_of_the_line() -> None:
    gone = replace(CROSSED, gain=-0.002, lower=-0.003)
    assert gone.missing is not None
    assert "line" not in gone.missing
    assert CROSSED.missing is None
    assert "retrain" not in str(replace(GAIN, gain=-0.002, lower=-0.003).missing)


def test_a_pause_is_missing_until_promotion_goes_on(conn: psycopg.Connection[Any]) -> None:
    keep(conn, 2, CROSSED, event="held_back", outcome="record_beats_production")
    pause(conn, USE_CASE, actor="ann", reason="release")
    paused = record_facts(conn, APPLES)["missing"]
    resume(conn, USE_CASE, actor="ann", reason="done")
    assert paused.startswith("promotion is paused and must be resumed; ")
    assert record_facts(conn, APPLES)["missing"] == (
        "nothing else: the last challenger won while promotion was paused"
    )


def test_the_newest_verdicts_are_told_and_no_more(conn: psycopg.Connection[Any]) -> None:
    for version in range(MOST_VERDICTS + 5):
        ledger.record(
            conn, USE_CASE, "rejected", actor="x", reason="", from_version=1, to_version=version + 1
        )
    series = record_facts(conn, APPLES)["series"]
    assert [one["version"] for one in series] == list(range(6, MOST_VERDICTS + 6))


def end_period(conn: psycopg.Connection[Any], number: int, doubt: str | None) -> None:
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    add_period(
        conn, USE_CASE, number, last_seq=number, snapshot="a", run_id=run_id, evidence={"doubt": doubt},
        shadows=(), keep=8,
    )  # fmt: skip
    conn.execute("DELETE FROM run")


def test_periods_that_count_for_nothing_are_told_until_one_counts_or_production_moves(
    conn: psycopg.Connection[Any],
) -> None:
    keep(conn, 2, None, outcome="labels_selected")
    told = []
    for number, doubt in enumerate([None, "labels may be selected", "labels may be selected", None], start=1):
        end_period(conn, number, doubt)
        told.append(record_facts(conn, APPLES)["missing"])
    assert "count for nothing" not in told[0]
    assert "no record yet" in told[1]
    assert "; the newest period counts for nothing, as labels" in told[1]
    assert "; the newest 2 periods count for nothing, as labels" in told[2]
    assert told[3] == told[0]
    end_period(conn, 5, "labels may be selected")
    promote_version(conn, MemoryRegistry(), 3)
    assert "nothing" not in record_facts(conn, APPLES)["missing"]


def test_the_status_says_it_in_a_line(conn: psycopg.Connection[Any]) -> None:
    nothing = record_facts(conn, APPLES)
    assert nothing["last"] is None
    assert nothing["missing"] == "nothing has been judged yet; the first model needs no record"
    assert use_case_lines(UseCaseStatus(USE_CASE, "Apples", record=nothing))["record"] is None
    keep(conn, 2, GAIN)
    line = use_case_lines(UseCaseStatus(USE_CASE, "Apples", record=record_facts(conn, APPLES)))["record"]
    assert line == f"{GAIN.shown}; for the next promotion by it: {GAIN.missing}"


def test_without_shadows_held_out_rows_alone_decide(conn: psycopg.Connection[Any]) -> None:
    alone = APPLES.model_copy(update={"gate": GateConfig(shadows=ShadowsConfig(keep=0))})
    keep(conn, 2, None)
    assert record_facts(conn, alone)["missing"] == (
        "no record is kept (gate.shadows.keep: 0): held-out rows alone decide"
    )


def test_every_verdict_and_promotion_keeps_its_record(conn: psycopg.Connection[Any]) -> None:
    promote_version(conn, MemoryRegistry(), 1)
    keep(conn, 2, GAIN)
    keep(conn, 3, None)
    registry = MemoryRegistry()
    registry.named["production"] = 1
    promote_version(conn, registry, 4, decide(CROSSED, "record_beats_production"), against=1)
    rows = {row.to_version: row.evidence for row in ledger.history(conn, USE_CASE) if row.event != "intent"}
    lost = {version: (evidence["record"] or {}).get("lost") for version, evidence in rows.items()}
    assert lost == {1: None, 2: 0.006, 3: None, 4: 0.0121}
    assert RecordGain.from_dict(rows[2]["record"] | {"newer": 1}) == GAIN
