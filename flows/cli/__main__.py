"""`python -m flows.cli`, where the command itself is not on the path; commands are in `commands`."""

from __future__ import annotations

from flows.cli import app

app()
