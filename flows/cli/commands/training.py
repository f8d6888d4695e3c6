"""Commands that make versions: retrain, train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.commands.labels.shown import print_reasons
from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import (
    connected_settings,
    input_errors,
    named_use_case,
    recalled_settings,
)
from flows.cli.terminal.opening import BEGINS_ANEW, STORED_ONCE, repeatable
from flows.cli.terminal.output import apart, facts, print_json, result_console, styled, table
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from configs.run_options import RunOptions
    from configs.schema import UseCase
    from configs.settings import Settings
    from store.ingest.report import IngestReport
    from store.runs.rows import Kind


def retrain(
    use_case: Name,
    data: Annotated[
        Path | None,
        typer.Option("--data", exists=True, dir_okay=False, help="Labelled file, stored first as by ingest."),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Continue neither from a checkpoint nor from production.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, max=10_000, help="Epochs of every fit, for models that have them."),
    ] = None,
    sample_count: Annotated[
        int | None, typer.Option("--sample-count", min=1, help="Learn from this many training rows, drawn.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", file_okay=False, help="Folder that gets a copy of the best challenger."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train challengers on all labels so far; one that beats production on held-out rows replaces it.

    The same flow as the schedule, the HTTP call and the Prefect UI start.

    Example: [bold]ratchet retrain mails --data customers.csv[/bold]
    """
    if epochs is not None:
        _ensure_epochs(named_use_case(recalled_settings(), use_case), epochs)
    settings = connected_settings(use_case)
    config = named_use_case(settings, use_case)
    from configs.run_options import RunOptions

    options = RunOptions(
        epochs=epochs,
        sample_count=sample_count,
        from_scratch=from_scratch,
        output_dir=None if output_dir is None else str(output_dir.resolve()),
    )
    if data is not None:
        _store(settings, config, data)
    _run(settings, use_case, "retrain", options, as_json)


def _ensure_epochs(use_case: UseCase, epochs: int) -> None:
    """Refuse them where the estimator has none, whatever is down."""
    if (problem := use_case.epochs_problem()) is not None:
        raise typer.BadParameter(f"got {epochs}, but {problem}", param_hint="--epochs")


def train(
    use_case: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSONL or Parquet.")],
    as_json: Json = False,
) -> None:
    """Store labelled rows and learn from them at once, from production on (a warm start).

    What comes of it is judged like any challenger.

    Example: [bold]ratchet train mails verdicts.csv[/bold]
    """
    settings = connected_settings(use_case)
    config = named_use_case(settings, use_case)
    from configs.run_options import RunOptions

    report = _store(settings, config, file)
    if report.new + report.corrected == 0:
        reason = (
            f"nothing new in {file.name}: {report.duplicates} rows known, {report.stale} stale, "
            f"{report.quarantined} refused"
        )
        reason = "; ".join([reason, *(one.sentence for one in report.reasons[:3])])
        print_json({"outcome": "nothing_new", "reason": reason}) if as_json else result_console().print(
            reason
        )
        return
    _run(settings, use_case, "train", RunOptions(), as_json)


def _store(settings: Settings, use_case: UseCase, file: Path) -> IngestReport:
    from flows.cli.terminal.progress import bar
    from store.database.connection import connect, database_url
    from store.ingest.files import ingest_file

    with connect(database_url(settings)) as conn, repeatable(STORED_ONCE), bar(file.name) as progress:
        report = ingest_file(
            conn, use_case, file, progress=lambda now: progress.show(now.fraction, f"{now.rows:,} rows")
        )
        progress.show(1.0, f"{report.new} new, {report.corrected} corrected, {report.quarantined} refused")
    return report


def _run(settings: Settings, use_case: str, kind: Kind, options: RunOptions, as_json: bool) -> None:
    from flows.cli.terminal.progress import bar
    from flows.launch import retrain_now
    from models.errors import NotConfigurable, RunFailed

    with bar(f"{kind} {use_case}") as progress:
        try:
            with repeatable(BEGINS_ANEW):
                result = retrain_now(
                    settings, use_case, kind=kind, options=options, on_progress=progress.follow_run
                )
        except NotConfigurable:
            raise
        except input_errors() as error:  # of what the run found, not of what the command was given
            raise RunFailed(use_case, str(error)) from error
        progress.show(1.0, "done")
    if as_json:
        print_json(result)
    else:
        _print_result(result, named_use_case(settings, use_case))


def _print_result(result: Mapping[str, Any], use_case: UseCase) -> None:
    from flows.cli.terminal.model_words import maker_words
    from store.quarantine.reasons import RefusedReason

    console = result_console()
    console.print(styled(result["outcome"]), f": {result['reason']}", sep="")
    console.print(
        facts(
            {
                "version": result["version"],
                "production before": result["production_before"],
                **_rows(result, use_case),
                **({"made by": result["compute"]} if result.get("compute") else {}),
                "snapshot": result["snapshot"],
                "run": result["run_id"],
            }
        )
    )
    if scores := result["scores"]:
        console.print(facts({f"'{name}'": maker_words(use_case, name) for name in scores}))
        before = result["production_scores"] or {}
        names = list(next(iter(scores.values())))
        rows = [
            (name, *apart([*(one.get(name) for one in scores.values()), before.get(name)])) for name in names
        ]
        console.print(table("", ["metric", *scores, "production"], rows))
    for warning in result.get("warnings", ()):
        console.print(f"warning: {warning}")
    for name, link in result.get("links", {}).items():
        console.print(_link_line(name, link))
    for name, why in result["failures"].items():
        console.print(f"challenger {name} failed: {why}")
    if left := result.get("left_out_rows"):
        name = result["use_case"]
        do, were = ("does", "was") if left == 1 else ("do", "were")
        console.print(f"{many(left, 'stored row')} {do} not fit the configuration and {were} left out:")
        print_reasons([RefusedReason(**reason) for reason in result["left_out"]])
        console.print(
            f"To map or move them: ratchet relabel {name} --help, ratchet recheck {name} --set-aside"
        )


def _link_line(challenger: str, link: Mapping[str, Any]) -> str:
    """What became of a challenger that was made for a link of the chain."""
    version, before = link["version"], link["before"]
    stays = "nothing answers there yet" if before is None else f"version {before} answers there still"
    now = stays if version is None else f"version {version} answers there from now on"
    return f"link of {challenger}: {now}: {link['decision']['reason']}"


def _rows(result: Mapping[str, Any], use_case: UseCase) -> dict[str, int | str]:
    """Rows of the snapshot, by what became of them: a run that was skipped learned from none."""
    from flows.cli.terminal.model_words import judged_words

    train, judge = "rows trained on", "rows judged on"
    if result["outcome"] == "skipped":
        train, judge = "rows to train on", "rows to judge on"
    judged = judged_words(
        use_case, result["holdout_rows"], has_production=result["production_before"] is not None
    )
    told: dict[str, int | str] = {train: result["train_rows"], judge: judged}
    if (newness := result.get("newness")) is not None:
        told["of those to learn from"] = (
            f"{many(newness['new'], 'label')} new since version {newness['since']}, "
            f"{newness['returned']:,} held out when that was made"
        )
    return told


COMMANDS = (retrain, train)
