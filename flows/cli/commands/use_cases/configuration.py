"""Commands that tell what is configured, and what may be: schema, example, deployments, check-estimator,
check-encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from configs.security.umask import user_umask
from configs.settings import CHECKOUT
from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import named_use_case, recalled_settings
from flows.cli.terminal.output import print_json, progress_console, result_console, styled, table

if TYPE_CHECKING:
    from models.laws.report import Finding

MARKS = {"kept": "ok", "broken": "BROKEN", "not for this": "-"}


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

    record = example_record(named_use_case(recalled_settings(), use_case).record)
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

    folders = recalled_settings().config_dirs
    use_cases = load_use_cases(folders if output else folders[:1])
    path = output or CHECKOUT / "prefect.yaml"
    with user_umask():
        path.write_text(prefect_yaml(use_cases.values()), encoding="utf-8")
    result_console().print(f"{path} describes {len(use_cases)} use cases")


def check_estimator(
    name: Annotated[
        str,
        typer.Argument(metavar="ESTIMATOR", help="As in model.estimator: a name, or mypackage.models:MyNet."),
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Kind of rows: tabular, mixed, text or image; default: its first."),
    ] = None,
    params: Annotated[
        str, typer.Option("--params", help="Its model.params, as YAML: '{epochs: 3}'.", show_default=False)
    ] = "{}",
    as_json: Json = False,
) -> None:
    """Hold a class to the laws that every estimator keeps to, on rows made for it; 1 where one is broken.

    Example: [bold]ratchet check-estimator logistic --kind tabular[/bold]
    """
    from models.laws.report import hold_to_laws, kind_of

    given = _read(params)
    kind = kind or kind_of(name)
    _tell("estimator", name, kind, hold_to_laws(name, kind, given), as_json=as_json)


def check_encoder(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER", help="As in features.encoder: mypackage.encoders:MyEncoder, or its name."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Kind of records: tabular, mixed, text or image; default: its first."),
    ] = None,
    fields_of: Annotated[
        str | None, typer.Option("--use-case", help="Make records with the fields of this use case.")
    ] = None,
    params: Annotated[
        str | None,
        typer.Option(
            "--params",
            help="Its features.params, as YAML: '{places: 64}'; default: those of --use-case.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold an encoder of yours to the laws that all keep to, on records made for it; 1 where one is broken.

    Example: [bold]ratchet check-encoder own_encoder.places:WordPlaces --kind text[/bold]
    """
    from features.encoders.own import KINDS
    from models.laws.report import hold_encoder_to_laws, kind_of_encoder

    given, record = {} if params is None else _read(params), None
    if fields_of is not None:
        if kind is not None:
            raise typer.BadParameter("got --kind beside --use-case, which has a kind")
        configured = named_use_case(recalled_settings(), fields_of)
        kind, record = configured.kind, configured.record
        if params is None and configured.features.encoder == name:
            given = configured.features.params
    elif kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"got {kind!r} for --kind; allowed: {', '.join(KINDS)}")
    kind = kind or kind_of_encoder(name)
    _tell("encoder", name, kind, hold_encoder_to_laws(name, kind, given, record), as_json=as_json)


def _tell(what: str, name: str, kind: str, laws: Iterator[Finding], *, as_json: bool) -> None:
    """Each law as soon as it is known what becomes of it, then all; ends with 1 where one is broken."""
    findings = []
    for finding in laws:
        findings.append(finding)
        if not as_json:
            progress_console().print(f"{MARKS[finding.state]:>6}  {finding.law}", highlight=False)
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_json:
        told = [asdict(finding) for finding in findings]
        print_json({what: name, "kind": kind, "kept": not broken, "laws": told})
    else:
        rows = [(MARKS[one.state], one.law, one.saw) for one in findings]
        result_console().print(table(f"{name}, kind {kind}", ("", "law", "what was seen"), rows))
        for finding in broken:
            result_console().print(f"{finding.law}: {finding.asks}", highlight=False)
        verdict = (
            f"{len(broken)} of {len(findings)} laws broken" if broken else f"all {len(findings)} laws kept"
        )
        result_console().print(styled(verdict))
    if broken:
        raise typer.Exit(1)


def _read(text: str) -> Mapping[str, Any]:
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"got {text!r:.80}; allowed: YAML such as '{{epochs: 3}}'") from error
    if not isinstance(read, dict):
        raise typer.BadParameter(f"got {text!r:.80}; allowed: a mapping such as '{{epochs: 3}}'")
    return read


COMMANDS = (schema, example, deployments, check_estimator, check_encoder)
