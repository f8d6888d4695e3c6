"""What is said of a draft: to a person, and to a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.terminal.output import facts, styled
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from rich.console import Console

    from flows.drafting.document import Checked
    from flows.drafting.draft import Draft

SHOWN = 20
"""Columns left out that have a line each."""


def tell(made: Draft, checked: Checked, console: Console) -> None:
    """What was read, what was decided and why, what was left out, and what to look at."""
    sample, target = made.sample, made.target
    seen = (
        "all of them looked at"
        if sample.is_whole
        else f"{sample.kept:,} drawn from all over the file looked at"
    )
    types: dict[str, int] = {}
    for one in made.fields:
        types[one.config["type"]] = types.get(one.config["type"], 0) + 1
    keys = {"id": made.id_key, "time": made.time_key, "group": made.group}
    holdout = made.training.values["holdout"]
    console.print(
        facts(
            {
                "file": f"{many(sample.rows, 'row')}, {many(len(sample.columns), 'column')}; {seen}",
                "target": f"{target.column}: {target.task}, {target.why}",
                "kind": f"{made.kind}: {', '.join(f'{count} {kind}' for kind, count in types.items())}",
                **{what: f"{key.column}: {key.why}" for what, key in keys.items() if key is not None},
                **({"files": made.files.why[""]} if made.files.values else {}),
                **({"no value": "; ".join(made.missing_why)} if made.missing else {}),
                "model": f"{made.model.values['estimator']}: {made.model.why['']}",
                "gate": f"{made.metric.values['metric']}: {made.metric.why['metric']}",
                "held out": f"{holdout['fraction']:.0%} by {holdout['by']}: {made.training.why['holdout']}",
                "checked": _checked(checked),
            }
        )
    )
    if made.left_out:
        console.print(styled("\nleft out"))
        told = sorted(made.left_out, key=lambda one: one.reason != "leak")
        console.print(facts({f"  {one.column}": one.why for one in told[:SHOWN]}))
        if len(told) > SHOWN:
            console.print(f"  and {many(len(told) - SHOWN, 'column')} more")
    if made.warnings:
        console.print(styled("\nlook at"))
        for warning in made.warnings[:SHOWN]:
            console.print(f"  {warning}")


def _checked(checked: Checked) -> str:
    if not checked.refused:
        return f"{many(checked.rows, 'row')} read as the use case reads them, none refused"
    why = "; ".join(checked.reasons)
    return f"{checked.refused:,} of {many(checked.rows, 'row')} would be refused: {why}"


def as_values(
    made: Draft, checked: Checked, use_case: dict[str, Any], text: str, path: Path | None
) -> dict[str, Any]:
    """The same for programs, with the use case as it is written; `path` is None where nothing was."""
    keys = {"id": made.id_key, "time": made.time_key, "group": made.group}
    return {
        "path": None if path is None else str(path),
        "rows": made.sample.rows,
        "rows_looked_at": made.sample.kept,
        "columns": len(made.sample.columns),
        "use_case": use_case,
        "why": {
            "target": made.target.why,
            "positive": made.target.positive_why or None,
            "fields": {one.config["name"]: one.why for one in made.fields},
            **{what: None if key is None else key.why for what, key in keys.items()},
            "files": made.files.why[""] or None,
            "missing": list(made.missing_why),
            "model": made.model.why[""],
            "metric": made.metric.why["metric"],
            **made.training.why,
        },
        "left_out": [{"column": one.column, "reason": one.reason, "why": one.why} for one in made.left_out],
        "suspected_leaks": [
            {"column": one.column, "verdict": one.verdict, "why": one.why} for one in made.suspects
        ],
        "unlabelled_rows": made.target.unlabelled,
        "warnings": list(made.warnings),
        "checked": {"rows": checked.rows, "refused": checked.refused, "reasons": list(checked.reasons)},
        "yaml": text,
    }
