"""Commands by which a person steers: rollback, pause, resume, stop, notify."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.terminal.arguments import MOST_VERSION, Json, Name
from flows.cli.terminal.global_options import connected_settings, named_use_case, settings_here
from flows.cli.terminal.opening import opened
from flows.cli.terminal.output import print_json, result_console
from flows.cli.terminal.person import person

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.")]


def rollback(
    use_case: Name,
    to: Annotated[
        int | None,
        typer.Option(
            "--to", min=1, max=MOST_VERSION, metavar="V", help="A version; default: the one before."
        ),
    ] = None,
    reason: Reason = "asked for by a person",
    as_json: Json = False,
) -> None:
    """Make an earlier version production again; every server swaps at once.

    Example: [bold]ratchet rollback mails --reason "wrong prices since noon"[/bold]
    """
    settings = connected_settings(use_case, prefect=False)
    named_use_case(settings, use_case)
    from dataclasses import asdict

    from models.canary.going_back import go_back
    from models.production.registry_rest import open_registry
    from models.versions.cache import model_cache
    from store.database.connection import connect, database_url

    with connect(database_url(settings)) as conn:
        registry = open_registry(settings.mlflow_uri)
        done = go_back(
            conn, registry, use_case,
            to=to, actor=person(), reason=reason, cache_dir=model_cache(settings.home),
        )  # fmt: skip
    if as_json:
        print_json(asdict(done))
    else:
        back = "back " if done.to_version < done.from_version else ""
        result_console().print(
            f"'{use_case}' went {back}from version {done.from_version} to {done.to_version}"
        )


def pause(use_case: Name, reason: Reason = "asked for by a person", as_json: Json = False) -> None:
    """Promote nothing until resumed; retrains go on, and what wins is only written down.

    Example: [bold]ratchet pause mails --reason "release freeze"[/bold]
    """
    from models.production.pausing import pause as pause_promotion

    with opened(use_case) as (conn, _):
        changed = pause_promotion(conn, use_case, actor=person(), reason=reason)
    _say(as_json, use_case, "paused", "promotion is paused" if changed else "promotion was paused already")


def resume(use_case: Name, reason: Reason = "asked for by a person", as_json: Json = False) -> None:
    """Promote again what wins from now on.

    Example: [bold]ratchet resume mails[/bold]
    """
    from models.production.pausing import resume as resume_promotion

    with opened(use_case) as (conn, _):
        changed = resume_promotion(conn, use_case, actor=person(), reason=reason)
    _say(as_json, use_case, "resumed", "promotion goes on" if changed else "promotion was not paused")


def stop(use_case: Name, as_json: Json = False) -> None:
    """Stop the run that is queued or at work, whoever started it; production stays.

    Example: [bold]ratchet stop mails[/bold]
    """
    from store.runs.lifecycle import stop_active

    with opened(use_case) as (conn, _):
        run_id, state = stop_active(conn, use_case)
    _say(as_json, use_case, state, f"run {run_id} is {state}", run_id=run_id)


def notify(use_case: Name, as_json: Json = False) -> None:
    """Send a test message to every address under `notify`; exits with 1 where one did not take it.

    Example: [bold]ratchet notify mails[/bold]
    """
    from flows.scheduling.notify import send_test

    problems = send_test(named_use_case(settings_here(), use_case))
    if as_json:
        print_json({"use_case": use_case, "problems": problems})
    else:
        if not problems:
            result_console().print(f"'{use_case}' tells nobody: `notify` in its file names addresses")
        for number, problem in enumerate(problems):
            result_console().print(f"url {number}: {problem or 'delivered'}")
    if any(problems):
        raise typer.Exit(1)


def _say(as_json: bool, use_case: str, status: str, sentence: str, **more: str) -> None:
    if as_json:
        print_json({"use_case": use_case, "status": status, **more})
    else:
        result_console().print(f"'{use_case}': {sentence}")


COMMANDS = (rollback, pause, resume, stop, notify)
