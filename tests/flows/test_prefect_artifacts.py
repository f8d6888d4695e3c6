"""Artifacts for Prefect's UI, which reads Markdown: values are plain text in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from configs.schema import FieldConfig, GateConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from flows import prefect_artifacts as evidence
from flows.drift.checking import DriftReport
from flows.prefect_artifacts import literal, show_drift, show_ingest, show_retrain
from flows.retrain.judging.deciding import judge_answers
from flows.retrain.judging.judgement import Circumstances
from flows.retrain.outcome import RetrainResult
from models.drift.decision import ColumnDrift, DriftDecision
from models.drift.findings import DriftFindings
from models.gate.answers import JudgedAnswers
from models.retraining.triggers import RetrainDecision
from models.shadows.evidence import RecordGain
from models.versions.predictor import Answers
from store.ingest.report import IngestReport
from store.quarantine.reasons import RefusedReason

EVIL = (
    "![x](http://elsewhere.example/i.png)",
    "[x](http://elsewhere.example)",
    "<img src=http://elsewhere.example/i.png>",
    "http://elsewhere.example, www.elsewhere.example, a@elsewhere.example",
    "a | b\n\n# c",
    "**bold** `code` &lt; \\",
)


@pytest.fixture
def artifacts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(evidence, "create_table_artifact", lambda **given: made.append(given))
    monkeypatch.setattr(evidence, "create_markdown_artifact", lambda **given: made.append(given))
    return made


@pytest.mark.parametrize("text", EVIL)
def test_a_text_is_shown_as_it_is(text: str) -> None:
    (paragraph,) = [one for one in MarkdownIt("commonmark").parse(literal(text)) if one.type == "inline"]
    assert {one.type for one in paragraph.children or []} <= {"text", "text_special"}
    assert "".join(one.content for one in paragraph.children or []) == text.replace("\n", "\\n")
    assert not any(
        mark in literal(text) for mark in ("http:", "www.", "a@")
    )  # what some readers link by itself


@pytest.mark.parametrize("text", EVIL)
def test_a_file_that_was_read_or_refused_is_named_in_plain_text(
    artifacts: list[dict[str, Any]], text: str
) -> None:
    reason = RefusedReason(text, 1, text, text, 2)
    report = IngestReport(text, 4, 1, 1, 1, 0, 1, 0, 0.5, (reason,), notes=(text, "2"))
    show_ingest("plans", [report], {text: text}, {text: text})
    read, refused, left = artifacts[0]["table"]
    assert read == report.as_dict() | {
        "file": literal(text),
        "reasons": literal(reason.sentence),
        "notes": literal(f"{text}; 2"),
    }
    assert left == {"file": literal(text), "left": literal(text)}
    assert refused == {"file": literal(text), "refused": literal(text)}


@pytest.mark.parametrize("text", EVIL)
def test_the_table_of_columns_keeps_its_cells(artifacts: list[dict[str, Any]], text: str) -> None:
    columns = {text: ColumnDrift("psi", 0.25, True, 0.0004, text)}
    drift = DriftDecision("drift", 1.0, 0.5, 0.1, columns, 100, 100, f"{text} moved")
    findings = DriftFindings(drift, drift, drift, ("data",))
    decision = RetrainDecision("wait", None, (text,), 0, None, "wait")
    show_drift("plans", DriftReport(findings, None, 1, 1), decision, None)
    tokens = MarkdownIt("commonmark").enable("table").parse(artifacts[0]["markdown"])
    cells = ["td", "td"] * 6  # opened and closed
    assert [one.tag for one in tokens if one.tag in ("td", "h1")] == cells * 3
    assert [one.tag for one in tokens if one.type == "heading_open"] == ["h3"] * 3
    inline = [part.type for one in tokens for part in one.children or []]
    assert set(inline) <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    assert inline.count("strong_open") == 2


GAIN = RecordGain(rows=800, periods=3, gain=0.00412, error=0.001, lower=0.003, lost=0.006, line=0.01, age=2)
APPLES = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    gate=GateConfig(min_rows=5, resamples=200),
)


def answers(right: int) -> Answers:
    """Ten, the first of them right."""
    probabilities = np.tile([0.9, 0.1], (10, 1))
    probabilities[right:] = [0.1, 0.9]
    return Answers(("good", "poor"), probabilities)


def retrained(records: dict[str, RecordGain], circumstances: Circumstances) -> RetrainResult:
    asked = JudgedAnswers(["good"] * 10, {"full": answers(6)}, answers(7), None, ("good", "poor"), None)
    judgement = judge_answers(APPLES, asked, **Circumstances(**{**circumstances, "records": records}))
    return RetrainResult(
        use_case="apples", run_id="1", outcome="rejected", reason="", version=2, production_before=1,
        challenger="full", decisions={name: one.as_dict() for name, one in judgement.decisions.items()},
        scores={}, production_scores=None, original_scores={}, failures={}, snapshot=None, train_rows=10,
        holdout_rows=10, steps={},
    )  # fmt: skip


@pytest.mark.parametrize(
    "circumstances",
    [
        Circumstances(),
        Circumstances(labels_selected="labels may be selected"),
        Circumstances(labels_left_out="labels were left out"),
        Circumstances(production_gone="its bytes are gone"),
        Circumstances(production_error="it does not load", training_labels=lambda: ["good"]),
    ],
    ids=["compared", "selected", "left_out", "gone", "error"],
)
def test_the_record_of_a_challenger_is_told_whatever_decides(
    artifacts: list[dict[str, Any]], circumstances: Circumstances
) -> None:
    show_retrain(retrained({"full": GAIN}, circumstances), "http://127.0.0.1:5000")
    show_retrain(retrained({}, circumstances), "http://127.0.0.1:5000")
    columns = ("record gain", "lost", "line")
    told = [[artifact["table"][0][name] for name in columns] for artifact in artifacts]
    assert told == [[0.0041, 0.006, 0.01], [None, None, None]]
