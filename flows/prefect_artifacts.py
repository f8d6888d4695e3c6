"""Evidence of the loop as Prefect artifacts, to be read in its UI.

The UI reads Markdown, in the cells of tables too, so what comes from data (names of files, columns and
classes, and sentences with them) is written such that all of it is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from configs.addresses.web_url import shown
from configs.security.printable import one_line
from flows.drift.checking import DriftReport
from flows.retrain.outcome import RetrainResult
from models.drift.decision import DriftDecision
from models.probation.evidence import Probation
from models.retraining.triggers import RetrainDecision
from store.ingest.report import IngestReport

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def artifact_key(use_case: str, subject: str) -> str:
    """Prefect allows lower-case letters, digits and dashes."""
    return f"{use_case.replace('_', '-')}-{subject}"


def show_retrain(result: RetrainResult, mlflow_uri: str) -> None:
    """One row for each challenger, with its score, production's and the interval of the gain."""
    rows = [_gate_row(name, decision) for name, decision in result.decisions.items()]
    for name, why in result.failures.items():
        rows.append({"challenger": name, "verdict": "not made", "reason": why})
    create_table_artifact(
        key=artifact_key(result.use_case, "gate"),
        table=_cells(rows or [{"challenger": "none", "verdict": result.outcome, "reason": result.reason}]),
        description=(
            f"**{result.outcome}**: {literal(result.reason)}\n\n"
            f"{result.train_rows} rows learned from, {result.holdout_rows} held out; "
            + _newness_told(result.newness)
            + ("" if result.compute is None else f"made by {literal(result.compute)}; ")
            + f"snapshot `{(result.snapshot or 'none')[:12]}`; "
            f"compare the runs in [MLflow]({shown(mlflow_uri)})."
            + "".join(f"\n\nWarning: {literal(warning)}." for warning in result.warnings)
        ),
    )


def _newness_told(newness: Mapping[str, int] | None) -> str:
    if newness is None:
        return ""
    return f"{newness['new']} of the first new, {newness['returned']} held out before; "


def _gate_row(name: str, decision: Any) -> dict[str, Any]:
    interval, record = decision["interval"], decision["record"] or {}
    return {
        "challenger": name,
        "verdict": decision["verdict"],
        "outcome": decision["outcome"],
        "metric": decision["metric"],
        "score": _rounded(decision["challenger"]),
        "production": _rounded(decision["production"]),
        "majority": _rounded(decision["majority"]),
        "gain": _rounded(decision["difference"]),
        "from": _rounded(interval["low"]) if interval else None,
        "to": _rounded(interval["high"]) if interval else None,
        "level": _rounded(interval["level"]) if interval else None,
        "rows": decision["rows"],
        "original": _rounded(decision["original"]["challenger"]) if decision["original"] else None,
        "original production": _rounded(decision["original"]["production"]) if decision["original"] else None,
        "record gain": _rounded(record.get("gain")),
        "lost": _rounded(record.get("lost")),
        "line": _rounded(record.get("line")),
        "reason": decision["reason"],
    }


def show_probation(use_case: str, probation: Probation) -> None:
    """How the version that was promoted last stands beside the one before it."""
    told = f"**{probation.verdict}**: {literal(probation.sentence)}"
    create_markdown_artifact(
        key=artifact_key(use_case, "probation"),
        markdown=told,
    )


def show_drift(use_case: str, report: DriftReport, decision: RetrainDecision, report_url: str | None) -> None:
    """What moved of data, answers and labels, how far and from what to what, and what follows."""
    found = report.findings
    lines = [
        f"**{found.verdict}**: {literal(found.reason)}",
        f"Retrain: **{decision.verdict}** ({literal('; '.join(decision.reasons))})",
    ]
    for part, one in found.parts.items():
        lines += ["", f"### {part}: {one.verdict}", *_drift_part(one)]
    if report_url is not None:
        lines += ["", f"[Evidently's report]({report_url})"]
    create_markdown_artifact(key=artifact_key(use_case, "drift"), markdown="\n".join(lines))


def _drift_part(drift: DriftDecision) -> list[str]:
    lines = [literal(drift.reason)]
    if drift.columns:
        lines += ["", "| column | method | value | p-value | drifted | what |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {literal(name)} | {one.method} | {one.value:.4f} | {_p_value(one.p_value)} | "
        f"{'yes' if one.drifted else 'no'} | {literal(one.moved or '')} |"
        for name, one in sorted(drift.columns.items(), key=lambda item: not item[1].drifted)
    ]
    if drift.remarks:
        lines += ["", "| column | certain beside |", "|---|---|"]
        lines += [f"| {literal(name)} | {literal(what)} |" for name, what in drift.remarks.items()]
    if drift.left_out:
        lines += ["", "| not compared | why |", "|---|---|"]
        lines += [f"| {literal(name)} | {literal(why)} |" for name, why in drift.left_out.items()]
    return lines


def _p_value(p_value: float | None) -> str:
    return "" if p_value is None else f"{p_value:.2g}"


def show_ingest(
    use_case: str, reports: Sequence[IngestReport], refused: dict[str, str], left: dict[str, str]
) -> None:
    """One row for each file; those that were `left` stay in the inbox."""
    rows: list[dict[str, Any]] = [
        report.as_dict()
        | {
            "reasons": "; ".join(reason.sentence for reason in report.reasons),
            "notes": "; ".join(report.notes),
        }
        for report in reports
    ]
    rows += [{"file": name, "refused": why} for name, why in refused.items()]
    rows += [{"file": name, "left": why} for name, why in left.items()]
    if rows:
        create_table_artifact(key=artifact_key(use_case, "ingest"), table=_cells(rows))


def literal(text: str) -> str:
    r"""Markdown that shows a text as it is: no link, no picture, no tag, no other cell.

    >>> print(literal("![x](http://a.b) | 1 < 2"))
    \!\[x\]\(http\:\/\/a\.b\) \| 1 \< 2
    """
    return _PUNCTUATION.sub(r"\\\1", one_line(text))


def _cells(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: literal(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
