"""Commands that answer: predict, work."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import Json, Name, Version
from flows.cli.terminal.global_options import connected_settings, named_use_case, settings_here
from flows.cli.terminal.opening import GOES_ON, repeatable
from flows.cli.terminal.output import facts, print_json, progress_console, result_console

if TYPE_CHECKING:
    from configs.schema import UseCase
    from configs.settings import Settings
    from features.files.outputs import Formulas
    from flows.batch.predict_file import FileReport


NEAREST = {"tsv": "csv", "json": "jsonl", "ndjson": "jsonl"}
"""Kinds of files that are read and not written, with that which is written instead."""


def predict(
    use_case: Name,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, TSV, JSONL, JSON or Parquet.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="CSV, JSONL or Parquet; default: FILE with `.predictions` in its name."
        ),
    ] = None,
    version: Version = None,
    keep_formulas: Annotated[
        bool,
        typer.Option(
            "--keep-formulas",
            help="For programs: no ' before texts in CSV that a spreadsheet would compute.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=256,
            help="Processes of this machine that answer; default: as `compute` or RATCHET_COMPUTE says, else "
            "threads, or for a large file a process a core.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer every row of a file with production: a row out for each row in, in the same order.

    Rows that cannot be answered say why. The same command goes on where it was cut off.

    Example: [bold]ratchet predict mails customers.csv --output answers.parquet[/bold]
    """
    from features.files.outputs import check_output

    target = output or default_output(file)
    check_output(target)
    settings = connected_settings(use_case, prefect=False)
    config = named_use_case(settings, use_case)
    formulas: Formulas = "keep" if keep_formulas else "disarm"
    report = _answer_file(settings, config, version, file, target, formulas, workers)
    if as_json:
        print_json(report.as_dict())
    else:
        lines = {name: value for name, value in report.as_dict().items() if name not in ("file", "notes")}
        if report.notes:
            lines["found"] = "; ".join(report.notes)
        result_console().print(facts(lines))


def _answer_file(
    settings: Settings,
    use_case: UseCase,
    version: int | None,
    file: Path,
    target: Path,
    formulas: Formulas,
    workers: int | None = None,
) -> FileReport:
    """Write the answers, and tell of the progress and of what was done to the cells."""
    from features.pretrained.keeping import vectors_kept
    from flows.batch.parts import begun_version
    from flows.batch.predict_file import predict_file
    from flows.batch.version_lookup import find_vouched
    from flows.batch.who_answers import who_answers
    from flows.cli.terminal.progress import bar
    from models.versions.predictor import Predictor
    from store.database.connection import connect, database_url
    from store.file_answers import FileLedger

    begun = begun_version(file, target)
    number, artifact = find_vouched(settings, use_case.name, version or begun)
    if number == begun:
        progress_console().print(f"going on with version {number}, where it was cut off")
    predictor = Predictor.load(artifact)
    # On one thread a slice: slices are answered side by side.
    kept = vectors_kept(settings.home, threads=1, drives_out=False)
    with (
        connect(database_url(settings), autocommit=True) as conn,
        closing(FileLedger(conn, use_case.name)) as ledger,
        who_answers(settings, use_case, file, artifact, workers) as by,
        bar(file.name) as progress,
        kept,
        repeatable(GOES_ON),
    ):
        report = predict_file(
            predictor, number, file, target, formulas=formulas,
            progress=lambda now: progress.show(now.fraction, f"{now.rows:,} rows"),
            ledger=ledger, by=by,
        )  # fmt: skip
    if report.disarmed:
        progress_console().print(
            f"{report.disarmed} cells that a spreadsheet would compute begin with ' now; "
            "--keep-formulas writes them as they are"
        )
    return report


def default_output(file: Path) -> Path:
    """Beside the file, of the same kind where it can be written, else of the nearest.

    >>> [default_output(Path(name)).name for name in ("data/customers.csv.gz", "rows.json")]
    ['customers.predictions.csv.gz', 'rows.predictions.jsonl']
    """
    stem, dot, extension = file.name.partition(".")
    packed = ".gz" if extension.lower().endswith(".gz") else ""
    kind = extension[: len(extension) - len(packed)]
    before, point, last = kind.rpartition(".")
    return file.with_name(f"{stem}.predictions{dot}{before}{point}{NEAREST.get(last.lower(), last)}{packed}")


def work(
    use_cases: Annotated[
        list[str] | None, typer.Argument(metavar="[USE_CASE]...", help="Which to work for; default: all.")
    ] = None,
) -> None:
    """Answer asynchronous requests (`POST /v1/{use_case}/predictions`) and nothing else, until Ctrl-C.

    Beside a server, or on another machine with RATCHET_DATABASE_URL and MLFLOW_TRACKING_URI set: each
    such process is one more worker.

    Example: [bold]ratchet work mails[/bold]
    """
    settings = settings_here()
    environment = dict(os.environ)
    if use_cases:
        for name in use_cases:
            named_use_case(settings, name)
        environment["RATCHET_USE_CASES"] = ",".join(use_cases)
    os.execve(sys.executable, [sys.executable, "-m", "service.work"], environment)


COMMANDS = (predict, work)
