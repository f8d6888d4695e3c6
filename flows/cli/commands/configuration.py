"""Commands that tell what is configured: schema, example, deployments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.security.umask import user_umask
from configs.settings import CHECKOUT, read_settings
from flows.cli.terminal.arguments import Name
from flows.cli.terminal.global_options import named_use_case
from flows.cli.terminal.output import print_json, result_console


def schema() -> None:
    """Print the JSON schema of a use case's YAML file, for editors and checkers.

    Example: [bold]ratchet schema > use-case.schema.json[/bold]
    """
    from configs.schema import UseCase

    print_json(UseCase.model_json_schema())


def example(
    use_case: Name,
    request: Annotated[bool, typer.Option("--request", help="Print the body of a predict request.")] = False,
) -> None:
    """Print a valid record of a use case as JSON.

    Example: [bold]ratchet example mails --request | curl -d @- localhost:3000/v1/mails/predict[/bold]
    """
    from features.records.example import example_record

    record = example_record(named_use_case(read_settings(), use_case).record)
    print_json({"records": [record]} if request else record)


def deployments(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", dir_okay=False, help="Write here, with the use cases of RATCHET_CONFIGS too."
        ),
    ] = None,
) -> None:
    """Write prefect.yaml: the deployments and schedules of the shipped use cases.

    `ratchet up` registers deployments by itself; the file is for a Prefect server of your own.

    Example: [bold]ratchet deployments[/bold]
    """
    from configs.loading import load_use_cases
    from flows.scheduling.deployments import prefect_yaml

    folders = read_settings().config_dirs
    use_cases = load_use_cases(folders if output else folders[:1])
    path = output or CHECKOUT / "prefect.yaml"
    with user_umask():
        path.write_text(prefect_yaml(use_cases.values()), encoding="utf-8")
    result_console().print(f"{path} describes {len(use_cases)} use cases")


COMMANDS = (schema, example, deployments)
