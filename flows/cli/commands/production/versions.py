"""Commands about a version: evaluate, export, probation, reproduce, shadow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import MOST_VERSION, Json, Name, Version
from flows.cli.terminal.global_options import connected_settings, named_use_case, settings_here
from flows.cli.terminal.opening import opened
from flows.cli.terminal.output import (
    facts,
    plain,
    print_json,
    progress_console,
    result_console,
    styled,
    table,
)
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flows.batch.evaluate import Evaluation
    from flows.reproduce.reproducing import Reproduction

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
    console.print(f"'{use_case}' {judged} on {many(evaluation.rows, 'row')} of {evaluation.source}")
    if evaluation.refused_rows:
        console.print(f"{many(evaluation.refused_rows, 'row')} could not be used")
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


def probation(use_case: Name, as_json: Json = False) -> None:
    """Look at the version that was promoted last, beside the one before it, on all labels since.

    One that is proven worse is taken back, as the worker does by itself when labels come.

    Example: [bold]ratchet probation mails[/bold]
    """
    settings = connected_settings(use_case, prefect=False)
    named_use_case(settings, use_case)
    from flows.context import open_context
    from flows.probation.looking import look
    from models.probation.shown import probation_facts

    context = open_context(use_case, settings)
    look(context)
    with context.connect() as conn:
        told = probation_facts(conn, context.use_case)
    if as_json:
        print_json(told)
    else:
        nothing = f"nothing is watched: production of '{use_case}' has not won against a version before it"
        result_console().print(nothing if told is None else told["sentence"], highlight=False)


def shadow(
    use_case: Name,
    again: Annotated[
        bool, typer.Option("--again", help="Try a version again that broke, hung or ended its process.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what the version of `serving.shadow` says of live records, beside what was served.

    Example: [bold]ratchet shadow mails[/bold]
    """
    from flows.cli.terminal.status_lines import shadow_lines
    from models.mirroring.shown import shadow_facts
    from store.predictions.shadow_answers import ask_again

    with opened(use_case) as (conn, config):
        if again:
            ask_again(conn, use_case)
            conn.commit()
        told = shadow_facts(conn, config)
    if as_json:
        print_json(told)
    elif told is None:
        result_console().print(
            f"'{use_case}' has no shadow: `serving: {{shadow: challenger}}` in its file names a version"
        )
    else:
        result_console().print(told["sentence"], highlight=False)
        result_console().print(facts(shadow_lines(told)))


def reproduce(
    use_case: Name,
    version: Annotated[int, typer.Argument(min=1, max=MOST_VERSION, help="Number of a version.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, help="Largest difference of a probability or metric; default: 1e-6."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a version again from its record, and compare its answers; exits with 1 where they differ.

    Nothing is registered, promoted or kept.

    Example: [bold]ratchet reproduce mails 3[/bold]
    """
    named_use_case(settings_here(), use_case)  # a wrong name is said whatever servers do
    settings = connected_settings(prefect=False)
    from flows.cli.terminal.progress import bar
    from flows.reproduce.reproducing import TOLERANCE, reproduce
    from models.errors import UnknownVersion

    allowed = TOLERANCE if tolerance is None else tolerance
    with bar(f"reproduce {use_case} {version}") as progress:
        try:
            made = reproduce(settings, use_case, version, tolerance=allowed, on_progress=progress.follow_run)
        except UnknownVersion as error:
            raise typer.BadParameter(str(error), param_hint="VERSION") from error
        progress.show(1.0, "done")
    print_json(made.as_dict()) if as_json else _print_reproduction(made)
    if made.outcome != "same":
        raise typer.Exit(1)


def _print_reproduction(made: Reproduction) -> None:
    console, compared = result_console(), made.comparison
    console.print(styled(made.outcome), f": {made.reason}", sep="")
    console.print(facts({name.replace("_", " "): value for name, value in made.made_of.items() if value}))
    if compared is not None:
        rows = [
            (name, f"{one.rows:,}", one.max_difference, f"{one.same_labels:.2%}")
            for name, one in (("probe", compared.probe), ("held-out", compared.holdout))
        ]
        console.print(table("", ["rows", "how many", "largest difference", "equal labels"], rows))
        metrics = [
            (name, one.registered, one.reproduced, one.difference) for name, one in compared.metrics.items()
        ]
        console.print(table("", ["metric", "registered", "made again", "difference"], metrics))
    for sentence in (*(one.sentence for one in made.differences), *made.unrecorded):
        console.print(f"to know: {sentence}")


COMMANDS = (probation, shadow, evaluate, export, reproduce)
