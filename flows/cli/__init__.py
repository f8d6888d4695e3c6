"""The command `ratchet`: thin edges around the functions of other modules, where the work is done.

Nothing slow is imported before a command needs it, so that `ratchet --help` answers at once.
"""

from __future__ import annotations

from flows.cli.commands import (
    demo,
    drift,
    keys,
    pages,
    predictions,
    replay,
    retention,
    servers,
    storage,
    training,
)
from flows.cli.commands.labels import audits, files, quarantine, relabelling, sources, taking_back
from flows.cli.commands.production import canary, control, history, versions
from flows.cli.commands.use_cases import configuration, new
from flows.cli.terminal.global_options import app

__all__ = ["app"]

_MODULES = (
    servers, pages, files, audits, taking_back, relabelling, drift, history, demo, training, versions,
    predictions, control, replay, retention, configuration, new,
)  # fmt: skip
for _module in _MODULES:
    for _command in _module.COMMANDS:
        app.command()(_command)

app.add_typer(keys.group, name="keys")
app.add_typer(quarantine.group, name="quarantine")
app.add_typer(sources.group, name="sources")
app.add_typer(storage.group, name="storage")
app.add_typer(canary.group, name="canary")
