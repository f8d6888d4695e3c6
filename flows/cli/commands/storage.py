"""Commands about the storage that machines share: storage check, storage copy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.terminal.arguments import Json
from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.opening import GOES_ON, repeatable
from flows.cli.terminal.output import print_json, result_console

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="What machines share: models, pages and snapshots, where RATCHET_STORAGE says.\n\n"
    "Example: [bold]ratchet storage check[/bold]",
)


def check(as_json: Json = False) -> None:
    """Write, list, read and delete an object, and say what the storage has.

    Exit code 1 when one of it cannot be done.

    Example: [bold]ratchet storage check[/bold]
    """
    from store.objects.copying import SHARED
    from store.objects.opening import open_storage, probe_storage

    storage = open_storage(settings_here())
    probe_storage(storage)
    found = {folder: [one.size for one in storage.list(folder)] for folder in SHARED}
    if as_json:
        parts = {name: {"objects": len(sizes), "bytes": sum(sizes)} for name, sizes in found.items()}
        print_json({"url": storage.url, "shared": storage.is_shared, "has": parts})
        return
    result_console().print(f"{storage.url}: writes, lists, reads and deletes", markup=False)
    for name, sizes in found.items():
        result_console().print(f"{name}: {len(sizes):,} objects, {sum(sizes) / 1e6:,.1f} MB")


def copy(
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Where it is now; default: the folders of the home."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Where it is to be; default: RATCHET_STORAGE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy what machines share to another storage, and read back each object to see that it is whole.

    Cut off, the same command goes on; once more, it copies what is new. Nothing is deleted where it was.

    Example: [bold]RATCHET_STORAGE=s3://models/ratchet ratchet storage copy[/bold]
    """
    from configs.addresses.storage_url import FORM, VARIABLE, folder_url, read_storage_url
    from configs.errors import SettingError
    from configs.settings import Settings
    from flows.cli.terminal.progress import bar
    from flows.servers.sharing import storage_before
    from store.objects.contract import Storage
    from store.objects.copying import NOTES, copy_all
    from store.objects.opening import open_storage, probe_storage

    def named(settings: Settings, url: str) -> Storage:
        return storage_before(settings.home, read_storage_url(url))

    settings = settings_here()
    source = named(settings, origin or folder_url(settings.home))
    goal = open_storage(settings) if target is None else named(settings, target)
    if goal.url == source.url:
        raise SettingError(
            VARIABLE, settings.storage_url or "", f"{FORM}, other than where it is copied from"
        )
    probe_storage(goal)
    settings.home.mkdir(parents=True, exist_ok=True)
    with repeatable(GOES_ON), bar("copy") as progress:
        copied = copy_all(
            source,
            goal,
            settings.home / NOTES,
            lambda one, number, of: progress.show(number / of, f"{number:,} of {of:,}: {one.key}"),
        )
    if as_json:
        print_json({"from": source.url, "to": goal.url, **asdict(copied)})
    else:
        was = f"; {copied.before:,} were there" if copied.before else ""
        result_console().print(
            f"{copied.objects:,} objects, {copied.size / 1e6:,.1f} MB, copied to {goal.url}{was}",
            markup=False,
        )


for _command in (check, copy):
    group.command()(_command)
