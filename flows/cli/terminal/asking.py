"""Questions that a person answers: before something is deleted, and about what is doubtful."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from configs.security.printable import printable


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


def choose(question: str, answers: Sequence[str]) -> str:
    """Ask on stderr for one of the answers; nothing, or nobody, means the first.

    Raises:
        typer.Abort: it was interrupted.
    """
    shown = "/".join(
        one if place else one.upper() if one in ("yes", "no") else one for place, one in enumerate(answers)
    )
    while True:
        typer.echo(f"{printable(question)} [{printable(shown)}]: ", nl=False, err=True)
        try:
            said = sys.stdin.readline()
        except KeyboardInterrupt:
            raise typer.Abort from None
        if not said or not sys.stdin.isatty():
            typer.echo(err=True)  # nobody has ended the line of the question
        word = said.strip()
        if not word:
            return answers[0]
        if word in answers:
            return word
        found = [one for one in answers if one.casefold().startswith(word.casefold())]
        if len(found) == 1:
            return found[0]
        typer.echo(f"allowed: {', '.join(map(printable, answers))}", err=True)
