"""Commands that show a person the pages of the servers: open."""

from __future__ import annotations

import webbrowser
from enum import StrEnum
from typing import Annotated

import typer

from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.output import result_console


class Place(StrEnum):
    """What can be opened."""

    PREFECT = "prefect"
    MLFLOW = "mlflow"
    PAGE = "page"


def open_place(
    place: Annotated[Place, typer.Argument(help="Prefect's UI, MLflow's UI, or Ratchet's own page.")],
) -> None:
    """Open a page in the browser; Prefect's with its password shown to it.

    Where there is no browser on this machine, the address is printed with how to sign in.

    Example: [bold]ratchet open prefect[/bold]
    """
    from flows.servers.prefect_access import read_password
    from flows.servers.sign_in import write_sign_in
    from flows.stack.addresses import addresses, sign_in_hint
    from flows.stack.errors import NotUp
    from flows.stack.probes import answers

    settings = settings_here()
    address = addresses(settings)[place]
    probes = {Place.PREFECT: f"{settings.prefect_url}/health", Place.MLFLOW: settings.mlflow_uri}
    if not answers(probes.get(place, address)):
        starts = {Place.PREFECT: settings.starts_prefect, Place.MLFLOW: settings.starts_mlflow}
        raise NotUp(place.value, address, ours=starts.get(place, True))
    password = read_password(settings) if settings.starts_prefect and place is Place.PREFECT else None
    console = result_console()
    if not _has_browser():
        console.print(f"no browser on this machine; open {address}")
        if password is not None:
            console.print(sign_in_hint(settings))
        return
    opened = address if password is None else write_sign_in(settings, password).as_uri()
    webbrowser.open(opened)
    console.print(f"opened {address}")


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


open_place.__name__ = "open"
COMMANDS = (open_place,)
