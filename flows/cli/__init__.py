"""The command `ratchet`: thin edges around the functions of the other modules.

Nothing slow is imported before a command needs it, so that `ratchet --help` answers at once.
"""

from __future__ import annotations

from flows.cli.application import app
from flows.cli.commands import (
    controlling,
    describing,
    files,
    judging,
    keys,
    looping,
    opening,
    predicting,
    serving,
    training,
)

__all__ = ["app"]

for _module in (serving, opening, files, looping, training, judging, predicting, controlling, describing):
    for _command in _module.COMMANDS:
        app.command()(_command)

app.add_typer(keys.group, name="keys")
