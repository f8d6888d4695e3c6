"""The command about the audit sample: which answers wait for their true label, and the labels back in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from flows.cli.terminal.arguments import MOST_DAYS, MOST_ROWS, Json, Name
from flows.cli.terminal.opening import ALL_OR_NOTHING, opened, repeatable
from flows.cli.terminal.output import facts, print_json, result_console, table

if TYPE_CHECKING:
    from rich.table import Table

    from configs.schema import UseCase
    from store.ingest.answer_labels import AnswerLabelsReport
    from store.predictions.audits import Audited

SHOWN_REASONS = 20


def audits(
    use_case: Name,
    days: Annotated[
        float, typer.Option("--days", min=0, max=MOST_DAYS, help="Of the last so many days.")
    ] = 30.0,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST_ROWS, help="Most answers, the newest.")
    ] = 1000,
    target: Annotated[
        Path | None,
        typer.Option("--csv", dir_okay=False, help="Write them to this CSV file, to be filled in."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", exists=True, dir_okay=False, help="Take the labels of a filled-in file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the audited answers that wait for their true label, or take their labels from a file.

    Answers that were drawn by chance say what all answers are worth, whoever chose the labels of others.

    Example: [bold]ratchet audits mails --csv audits.csv[/bold], then [bold]ratchet audits mails --labels
    audits.csv[/bold]
    """
    from store.predictions.audits import count_audits, waiting_audits

    with opened(use_case) as (conn, config):
        if labels is not None:
            from store.ingest.answer_labels import label_answers

            with repeatable(ALL_OR_NOTHING):
                report = label_answers(conn, config, labels)
            _show_report(report, as_json=as_json)
            return
        since = datetime.now(UTC) - timedelta(days=days)
        counts = count_audits(conn, use_case, since=since)
        waiting = waiting_audits(conn, use_case, limit=limit, since=since)
    if target is not None:
        _write(target, config, waiting)
    if as_json:
        document = {"use_case": use_case, "since": since.isoformat(), **counts.as_dict(since)}
        print_json(document | {"waiting": [one.as_dict() for one in waiting]})
        return
    console = result_console()
    console.print(counts.sentence(since) or f"No audited answer was given since {since:%Y-%m-%d %H:%M}")
    if target is not None:
        console.print(f"{len(waiting)} answers in {target}: fill in the column `label`, then")
        console.print(f"ratchet audits {use_case} --labels {target}")
        return
    console.print(_table(waiting))


def _table(waiting: list[Audited]) -> Table:
    rows = [
        (
            f"{one.predicted_at:%Y-%m-%d %H:%M}",
            one.id,
            one.label,
            one.score,
            orjson.dumps(one.record).decode(),
        )
        for one in waiting
    ]
    return table("", ["at (UTC)", "prediction", "answer", "score", "record"], rows)


def _write(target: Path, config: UseCase, waiting: list[Audited]) -> None:
    """One row an answer: its id, an empty label, what was answered, and the record field by field."""
    import pyarrow as pa

    from features.errors import SourceError
    from features.files.outputs import check_output, write_tables

    if target.suffix.lower() != ".csv":
        raise SourceError(f"{target}: unknown kind of file; allowed: .csv")
    check_output(target)
    columns = {
        "prediction_id": [one.id for one in waiting],
        "label": [None] * len(waiting),
        "answer": [one.label for one in waiting],
        "score": [one.score for one in waiting],
        "predicted_at": [one.predicted_at.isoformat() for one in waiting],
    }
    texts = {
        field.name: [_text(one.record.get(field.name)) for one in waiting] for field in config.record.fields
    }
    kinds = {"score": pa.float64()}
    written = pa.table(
        {
            name: pa.array(values, kinds.get(name, pa.string()))
            for name, values in (
                columns | {name: texts[name] for name in texts if name not in columns}
            ).items()
        }
    )
    write_tables([written], written.schema, target)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _show_report(report: AnswerLabelsReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
        return
    console = result_console()
    console.print(
        facts(
            {
                "rows": report.rows,
                "without a label": report.empty,
                "new": report.new,
                "corrected": report.corrected,
                "duplicates": report.duplicates,
                "refused": len(report.rejected),
            }
        )
    )
    for line, reason in list(report.rejected.items())[:SHOWN_REASONS]:
        console.print(f"  line {line}: {reason}")


COMMANDS = (audits,)
