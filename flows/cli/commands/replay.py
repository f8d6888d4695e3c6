"""Command that plays history through the loop under policies: replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import named_use_case, settings_here
from flows.cli.terminal.opening import GOES_ON, repeatable
from flows.cli.terminal.output import print_json, result_console, table

if TYPE_CHECKING:
    from datetime import timedelta

    from flows.replay.runner import Outcome

PICTURES = (".png", ".svg", ".pdf")
Data = Annotated[
    Path | None,
    typer.Option("--data", exists=True, dir_okay=False, help="Labelled file; default: the stored labels."),
]
Periods = Annotated[
    str | None,
    typer.Option("--periods", help="Rows of a period, or its time: 500, 12h, 1d, 2w. Default: 1/60."),
]
First = Annotated[int, typer.Option("--first", min=1, help="Periods that the first model learns from.")]
Delay = Annotated[int, typer.Option("--delay", min=0, help="Periods that labels take to come.")]
Policies = Annotated[
    list[Path] | None,
    typer.Option("--policy", exists=True, dir_okay=False, help="YAML with training and gate; repeatable."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: one a core.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", dir_okay=False, help="Copy of the picture (PNG, SVG, PDF).")
]

HEADS = ("policy", "accuracy", "promoted", "worse", "harmful", "undone", "fit s")


def replay(
    use_case: Name,
    data: Data = None,
    periods: Periods = None,
    first: First = 8,
    delay: Delay = 0,
    policy: Policies = None,
    jobs: Jobs = 0,
    picture: Picture = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log every policy to MLflow.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do again what an earlier replay has done.")] = False,
    as_json: Json = False,
) -> None:
    """Play the history of a use case through its loop, beside other policies, and say how well each answered.

    Nothing that serves or is stored changes. A replay that is stopped goes on where it was.

    Example: [bold]ratchet replay mails --data mails.csv --periods 1w[/bold]
    """
    if picture is not None:
        _check_picture(picture)
    from flows.cli.terminal.progress import bar
    from flows.replay.results.picture import draw
    from flows.replay.starting import ReplayRequest, run_replay

    settings = settings_here()
    config = named_use_case(settings, use_case)
    period = None if periods is None else _read_period(periods)
    request = ReplayRequest(data, period, first, delay, policy or (), jobs, fresh)
    with repeatable(GOES_ON), bar(f"replaying {use_case}") as progress:
        outcome, folder = run_replay(
            settings, config, request, lambda done, of, what: progress.show(done / of, what)
        )
    if picture is not None:
        draw(outcome, picture)
    if mlflow:
        from flows.replay.results.experiment import log_replay

        log_replay(settings.mlflow_uri, outcome, folder / "replay.png")
    if as_json:
        print_json(outcome.as_dict())
        return
    _show(outcome)
    result_console().print(f"Picture and figures: {folder}")


def _check_picture(picture: Path) -> None:
    """Refuse a name under which no picture can be written, before hours of replay."""
    if picture.suffix.lower() not in PICTURES:
        raise typer.BadParameter(
            f"'{picture}'; allowed: a name that ends with {', '.join(PICTURES)}", param_hint="--picture"
        )
    if not picture.parent.is_dir():
        raise typer.BadParameter(f"'{picture}': its folder does not exist", param_hint="--picture")


def _read_period(text: str) -> int | timedelta:
    from flows.replay.history import read_period

    try:
        return read_period(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--periods") from error


def _show(outcome: Outcome) -> None:
    about = outcome.as_dict()
    rows = [
        (
            name,
            f"{one.accuracy:.4f}",
            one.promotions,
            one.worse,
            one.harmful,
            one.rollbacks,
            f"{one.fit_seconds:.1f}",
        )
        for name, one in outcome.played.items()
    ]
    title = f"{about['use_case']}: {about['periods']} periods, {about['rows']:,} rows"
    shown = table(title, HEADS, rows)
    for column in shown.columns:
        column.no_wrap = True
    result_console().print(shown)
    history = outcome.plan.history
    if history.refused:
        result_console().print(f"Rows that cannot be used: {history.refused:,}; the first: {history.refusal}")
    for name, why in outcome.left_out.items():
        result_console().print(f"{name} is left out: {why}")


COMMANDS = (replay,)
