"""Command that plays a turn of the loop: demo."""

from __future__ import annotations

import os

import typer

from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.output import progress_console, result_console


def demo() -> None:
    """Play one turn of the loop on a stream that drifts, from nothing to a promotion; takes minutes.

    Everything is real and lives in a folder of its own; all is stopped at the end, and the
    command that shows it again is printed.

    Example: [bold]ratchet demo[/bold]
    """
    environ = dict(os.environ)  # as the shell has it: the settings are put into it next
    settings = settings_here()
    from flows.demo.scenario import DemoFailed, run_demo

    try:
        run_demo(settings, result_console(), environ)
    except DemoFailed as error:
        progress_console().print(f"ratchet: the demo failed: {error}")
        raise typer.Exit(1) from error


COMMANDS = (demo,)
