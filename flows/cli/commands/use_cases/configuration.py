"""Commands that tell what is configured, and what may be: schema, example, deployments, check-estimator,
check-encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.errors import ConfigError
from configs.security.umask import user_umask
from configs.settings import CHECKOUT
from configs.yaml_files import parse_yaml
from flows.cli.terminal.arguments import Json, Name, not_one_of
from flows.cli.terminal.global_options import named_use_case, recalled_settings
from flows.cli.terminal.output import print_json, result_console, styled

if TYPE_CHECKING:
    from models.laws.report import Finding

LAW_SECONDS = 300.0
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds", min=1, max=86_400, help="A class that takes longer over one law is held to hang."
    ),
]
MARKS = {"kept": "ok", "broken": "BROKEN", "not for this": "-"}


def schema() -> None:
    """Print the JSON schema of a use case's YAML file, for editors and checkers.

    Example: [bold]ratchet schema > use-case.schema.json[/bold]
    """
    from configs.schema import UseCase
    from flows.reference.docstrings import DocumentedSchema

    print_json(UseCase.model_json_schema(schema_generator=DocumentedSchema))


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

    settings = recalled_settings()
    folders = settings.config_dirs
    use_cases = load_use_cases(folders if output else folders[:1])
    path = output or CHECKOUT / "prefect.yaml"
    with user_umask():
        text = prefect_yaml(use_cases.values(), settings.work_pool, settings.work_pool_type)
        path.write_text(text, encoding="utf-8")
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
    seconds: Seconds = LAW_SECONDS,
    as_json: Json = False,
) -> None:
    """Hold a class to the laws that every estimator keeps to, on rows made for it; 1 where one is broken.

    Example: [bold]ratchet check-estimator logistic --kind tabular[/bold]
    """
    from features.encoders.own import KINDS
    from models.laws.apart import hold_apart

    given = _read(params)
    _ensure_kind(kind, KINDS)
    laws = hold_apart("estimator", name, kind, given, seconds=seconds)
    _tell("estimator", name, laws, as_json=as_json)


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
    seconds: Seconds = LAW_SECONDS,
    as_json: Json = False,
) -> None:
    """Hold an encoder of yours to the laws that all keep to, on records made for it; 1 where one is broken.

    Example: [bold]ratchet check-encoder own_encoder.places:WordPlaces --kind text[/bold]
    """
    from features.encoders.own import KINDS
    from models.laws.apart import hold_apart

    given, record = {} if params is None else _read(params), None
    if fields_of is not None:
        if kind is not None:
            raise typer.BadParameter("got --kind beside --use-case, which has a kind")
        configured = named_use_case(recalled_settings(), fields_of)
        kind, record = configured.kind, configured.record
        if params is None and configured.features.encoder == name:
            given = configured.features.params
    else:
        _ensure_kind(kind, KINDS)
    laws = hold_apart("encoder", name, kind, given, record, seconds=seconds)
    _tell("encoder", name, laws, as_json=as_json)


def _ensure_kind(kind: str | None, kinds: Sequence[str]) -> None:
    if kind is not None and kind not in kinds:
        raise not_one_of(kind, kinds, "--kind")


def _tell(what: str, name: str, laws: Iterator[Finding | str], *, as_json: bool) -> None:
    """Each law as soon as it is known what becomes of it; ends with 1 where one is broken.

    Args:
        laws: the kind that is held, then what became of each law.
    """
    kind, findings = str(next(laws)), []
    if not as_json:
        result_console().print(f"{name}, kind {kind}", highlight=False, markup=False, soft_wrap=True)
    for finding in laws:
        if isinstance(finding, str):
            continue
        findings.append(finding)
        if not as_json:
            line = f"{MARKS[finding.state]:>6}  {finding.law}: {finding.saw}"
            result_console().print(line, highlight=False, markup=False, soft_wrap=True)
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_json:
        told = [asdict(finding) for finding in findings]
        print_json({what: name, "kind": kind, "kept": not broken, "laws": told})
    else:
        for finding in broken:
            line = f"{finding.law} asks: {finding.asks}"
            result_console().print(line, highlight=False, markup=False, soft_wrap=True)
        verdict = (
            f"{len(broken)} of {len(findings)} laws broken" if broken else f"all {len(findings)} laws kept"
        )
        result_console().print(styled(verdict))
    if broken:
        raise typer.Exit(1)


def _read(text: str) -> Mapping[str, Any]:
    try:
        read = parse_yaml(text)
    except ConfigError as error:
        problem = f"got {text!r:.80}; allowed: YAML such as '{{epochs: 3}}' ({error})"
        raise typer.BadParameter(problem) from error
    if not isinstance(read, dict):
        raise typer.BadParameter(f"got {text!r:.80}; allowed: a mapping such as '{{epochs: 3}}'")
    return read


COMMANDS = (schema, example, deployments, check_estimator, check_encoder)
