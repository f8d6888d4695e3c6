"""Commands about a version: evaluate, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import Json, Name, Version
from flows.cli.terminal.global_options import connected_settings, named_use_case, settings_here
from flows.cli.terminal.output import facts, plain, print_json, progress_console, result_console, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flows.batch.evaluate import Evaluation

SHOWN_CLASSES = 30
"""More are told in JSON only."""


def evaluate(
    use_case: Name,
    version: Version = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", exists=True, help="A training's checkpoint, or its folder.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", exists=True, dir_okay=False, help="Labelled file; default: held-out rows."),
    ] = None,
    sample_count: Annotated[
        int | None, typer.Option("--sample-count", min=1, help="Judge on this many of the rows.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", file_okay=False, help="Gets scores.json and predictions.csv."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a version, or where a training stands, on rows that it has not learned from.

    Example: [bold]ratchet evaluate mails --data mails.csv[/bold]
    """
    if version is not None and checkpoint is not None:
        raise typer.BadParameter("--version and --checkpoint exclude each other")
    settings = settings_here() if checkpoint is not None else connected_settings(use_case, prefect=False)
    named_use_case(settings, use_case)
    from flows.batch.evaluate import evaluate as evaluate_version
    from models.errors import ArtifactError

    with progress_console().status("evaluating..."):
        try:
            evaluation = evaluate_version(
                settings,
                use_case,
                version=version,
                checkpoint=checkpoint,
                data=data,
                sample_count=sample_count,
                output_dir=output_dir,
            )
        except ArtifactError as error:
            if checkpoint is None:
                raise
            raise typer.BadParameter(str(error), param_hint="--checkpoint") from error
    if as_json:
        print_json(evaluation.as_dict())
    else:
        _print_evaluation(use_case, evaluation)


def _print_evaluation(use_case: str, evaluation: Evaluation) -> None:
    console = result_console()
    judged = f"checkpoint after epoch {evaluation.epoch}"
    if evaluation.checkpoint is None:
        judged = f"version {evaluation.version}"
    console.print(f"'{use_case}' {judged} on {evaluation.rows} rows of {evaluation.source}")
    if evaluation.refused_rows:
        console.print(f"{evaluation.refused_rows} rows could not be used")
    console.print(facts(evaluation.metrics))
    console.print(_class_table(evaluation))


def _class_table(evaluation: Evaluation) -> RenderableType:
    """How each class fares: a confusion matrix, or the scores of each label where a row may have many."""
    if len(evaluation.classes) > SHOWN_CLASSES:
        return f"{len(evaluation.classes)} classes: --json or --output-dir shows each"
    if evaluation.confusion is None:
        scores = evaluation.class_scores
        rows = [(name, *one.values()) for name, one in scores.items()]
        return table("", ["label", *next(iter(scores.values()), {})], rows)
    counts = [(name, *row) for name, row in zip(evaluation.classes, evaluation.confusion, strict=True)]
    return table("Truth (rows) and answers (columns)", ["", *evaluation.classes], counts)


def export(
    use_case: Name,
    directory: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Write a version to a directory: model (ONNX where it can be), encoder, manifest, a probe.

    Example: [bold]ratchet export mails ./mails-model[/bold]
    """
    settings = connected_settings(use_case, prefect=False)
    named_use_case(settings, use_case)
    from flows.batch.evaluate import export as export_version

    manifest = export_version(settings, use_case, directory, version=version)
    if as_json:
        print_json({"directory": str(directory.resolve()), "manifest": plain(manifest)})
    else:
        result_console().print(f"'{use_case}' written to {directory}")


COMMANDS = (evaluate, export)
