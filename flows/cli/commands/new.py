"""The command that drafts a use case from a labelled file: new."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.errors import ConfigError
from flows.cli.terminal.arguments import Json
from flows.cli.terminal.asking import choose
from flows.cli.terminal.global_options import recalled_settings
from flows.cli.terminal.output import facts, print_json, progress_console, result_console, styled
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.drafting.document import Checked
    from flows.drafting.draft import Draft, Wishes

SHOWN = 20
"""Columns left out that have a line each."""


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the use case: letters, digits and _.")],
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, TSV, JSONL, JSON or Parquet.")
    ],
    target: Annotated[
        str, typer.Option("--target", metavar="COLUMN", help="Column with what is to be predicted.")
    ],
    task: Annotated[
        str | None,
        typer.Option("--task", help="binary, multiclass or multilabel, whatever the column looks like."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="One line for people.")] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="CLASS", help="Of two classes the one that is asked about."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="Column that identifies a row.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="Column with the time of a row.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COLUMN", help="Column that says whose a row is.")
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="COLUMN", help="Column to ignore; may be repeated."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="COLUMN", help="Column to learn from all the same; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            exists=True,
            help="Folder to write into; default: the first of --configs, of RATCHET_CONFIGS, or of those "
            "that the home serves from, else this one.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of the name.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask about choices that are doubtful.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the YAML and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read a labelled file and write NAME.yaml: the use case, each choice with its why.

    `ratchet up` then trains and serves it.

    Example: [bold]ratchet new mails mails.csv --target spam[/bold]
    """
    from flows.drafting.declarations import read_declared
    from flows.drafting.document import check, data_path, document, mapping, write
    from flows.drafting.draft import Wishes, draft
    from flows.drafting.names import check_name
    from flows.drafting.target import check_task

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
    declared = read_declared(file, target)
    made = draft(name, declared, target, wishes)
    if ask:
        made = draft(name, declared, target, _asked(made, wishes))
    text = document(made, data_path(file, folder))
    _, checked = check(text, made)
    if not dry_run:
        write(text, path, force=force)
    if as_json:
        print_json(
            _as_json(made, checked, mapping(made, data_path(file, folder)), text, None if dry_run else path)
        )
    elif dry_run:
        typer.echo(text, nl=False)
        _tell(made, checked, progress_console())
    else:
        _tell(made, checked, result_console())
        given = ctx.find_root().params.get("configs") or ()
        result_console().print(f"\nwritten: {path}\nnext:    {_next_command(settings, folder, name, given)}")


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


def _tell(made: Draft, checked: Checked, console: Any) -> None:
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


def _as_json(
    made: Draft, checked: Checked, use_case: dict[str, Any], text: str, path: Path | None
) -> dict[str, Any]:
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


COMMANDS = (new,)
