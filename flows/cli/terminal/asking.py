"""Questions that a person answers before something is deleted."""

from __future__ import annotations

import sys

import typer


def confirm(question: str) -> None:
    """Ask on stderr, and end the command unless the answer is yes.

    Raises:
        typer.Abort: it is not, or nobody answers.
    """
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        said = sys.stdin.readline()
    except KeyboardInterrupt:
        said = ""
    if not said or not sys.stdin.isatty():
        typer.echo(err=True)  # nobody has ended the line of the question
    if said.strip().lower() not in ("y", "yes"):
        raise typer.Abort
