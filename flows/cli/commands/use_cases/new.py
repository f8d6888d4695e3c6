"""The command that drafts a use case from a labelled file: new."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.errors import ConfigError
from configs.spelling.letters import compose
from flows.cli.commands.use_cases.told import as_values, tell
from flows.cli.terminal.arguments import Json
from flows.cli.terminal.asking import choose
from flows.cli.terminal.global_options import recalled_settings
from flows.cli.terminal.output import print_json, progress_console, result_console

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.drafting.draft import Draft
    from flows.drafting.wishes import Wishes

UseCaseName = Annotated[str, typer.Argument(metavar="NAME", help="Of the use case: letters, digits and _.")]
File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        help="CSV, TSV, JSONL, JSON or Parquet; or a folder with a folder of pictures a class.",
    ),
]
TargetColumn = Annotated[
    str | None,
    typer.Option(
        "--target",
        parser=compose,
        metavar="COLUMN",
        help="Column with what is to be predicted; of a folder: label.",
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option("--task", help="binary, multiclass or multilabel, whatever the column looks like."),
]
Title = Annotated[str | None, typer.Option("--title", help="One line for people.")]
Positive = Annotated[
    str | None,
    typer.Option("--positive", metavar="CLASS", help="Of two classes the one that is asked about."),
]
IdColumn = Annotated[
    str | None, typer.Option("--id", parser=compose, metavar="COLUMN", help="Column that identifies a row.")
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time", parser=compose, metavar="COLUMN", help="Column with the time of a row."),
]
Group = Annotated[
    str | None,
    typer.Option("--group", parser=compose, metavar="COLUMN", help="Column that says whose a row is."),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", parser=compose, metavar="COLUMN", help="Column to ignore; may be repeated."),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep", parser=compose, metavar="COLUMN", help="Column to learn from all the same; may be repeated."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        file_okay=False,
        exists=True,
        help="Folder to write into; default: the first of --configs, of RATCHET_CONFIGS, or of those that "
        "the home serves from, else this one.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file of the name.")]
Ask = Annotated[bool, typer.Option("--ask", help="Ask about choices that are doubtful.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the YAML and write nothing.")]


def new(
    ctx: typer.Context,
    name: UseCaseName,
    file: File,
    target: TargetColumn = None,
    task: TaskName = None,
    title: Title = None,
    positive: Positive = None,
    id_column: IdColumn = None,
    time_column: TimeColumn = None,
    group: Group = None,
    leave_out: LeaveOut = None,
    keep: Keep = None,
    out: Out = None,
    force: Force = False,
    ask: Ask = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Read a labelled file and write NAME.yaml: the use case, each choice with its why.

    `ratchet up` then trains and serves it.

    Example: [bold]ratchet new mails mails.csv --target spam[/bold]
    """
    from flows.drafting.declarations import read_declared
    from flows.drafting.document import check, data_path, document, mapping, write
    from flows.drafting.draft import draft
    from flows.drafting.names import check_name
    from flows.drafting.target import check_task
    from flows.drafting.wishes import Wishes

    check_name(name)
    settings = recalled_settings()
    folder = out or next(iter(settings.config_dirs[1:]), Path())
    path = folder / f"{name}.yaml"
    _ensure_free(settings, path, force=force or dry_run)
    wishes = Wishes(
        check_task(task),
        title,
        positive,
        id_column,
        time_column,
        group,
        tuple(leave_out or ()),
        tuple(keep or ()),
    )
    with _file_of(file, name, target, force=force, keep=not dry_run) as (file, target):
        declared = read_declared(file, target)
        made = draft(name, declared, target, wishes)
        if ask:
            made = draft(name, declared, target, _asked(made, wishes))
        data = data_path(file, folder)
        text = document(made, data)
        _, checked = check(text, made)
        if not dry_run:
            write(text, path, force=force)
    if as_json:
        print_json(as_values(made, checked, mapping(made, data), text, None if dry_run else path))
    elif dry_run:
        typer.echo(text, nl=False)
        tell(made, checked, progress_console())
    else:
        tell(made, checked, result_console())
        given = ctx.find_root().params.get("configs") or ()
        told = _next_command(settings, folder, name, given)
        result_console().print(f"\nwritten: {path}\nnext:    {told}")


def _file_of(
    given: Path, name: str, target: str | None, *, force: bool, keep: bool
) -> AbstractContextManager[tuple[Path, str]]:
    """The file and its target; of a folder with a folder of pictures a class, one that lists these."""
    from flows.drafting.pictures.class_folders import listed

    if given.is_dir():
        return listed(given, name, target or "label", force=force, keep=keep)
    if target is None:
        raise typer.BadParameter("is needed: the column with what is to be predicted", param_hint="--target")
    return nullcontext((given, target))


def _ensure_free(settings: Settings, path: Path, *, force: bool) -> None:
    """Refuse a name that another use case has, before a large file is read.

    Raises:
        ConfigError: it is taken.
    """
    for folder in settings.config_dirs:
        other = folder / path.name
        if other.exists() and other.resolve() != path.resolve():
            raise ConfigError(
                f"use case '{path.stem}' is described by {other} already; allowed: another name"
            )
    if path.exists() and not force:
        raise ConfigError(
            f"{path}: is there already; --force replaces it, --out DIR writes into another folder"
        )


def _asked(made: Draft, wishes: Wishes) -> Wishes:
    from flows.drafting.questions import questions

    asked = questions(made)
    if not asked:
        progress_console().print("nothing is doubtful")
    for question in asked:
        wishes = question.apply(wishes, choose(question.text, question.answers))
    return wishes


def _next_command(settings: Settings, folder: Path, name: str, given: Sequence[Path]) -> str:
    """What serves it, and leaves what the home serves as it is.

    Args:
        given: folders that the command line names.
    """
    from configs.served import FOLDERS, NAMES, read_use_cases

    known = settings.config_dirs[1:]
    if given:
        options = [*given, *([] if folder.resolve() in known else [folder])]
    elif folder.resolve() in known:
        options = []
    else:
        options = [*([] if FOLDERS in os.environ else known), folder]
    told = settings.use_cases if NAMES in os.environ else ()
    goes_on = not told and read_use_cases(settings.home)
    only = "" if goes_on else f"RATCHET_USE_CASES={','.join(dict.fromkeys([*told, name]))} "
    folders = "".join(f"--configs {shlex.quote(str(one))} " for one in options)
    return f"{only}ratchet {folders}up --detach"


COMMANDS = (new,)
