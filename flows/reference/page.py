"""The page docs/configuration.md, written from the schema, the estimators and the settings themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from configs.schema import UseCase
from configs.schema.base import describe_bound
from configs.variables import PREFIX, variables
from flows.reference.docstrings import key_docstrings
from models.estimators.catalogue import ESTIMATORS
from models.estimators.contract import Params

HEAD = """\
# Configuration

<!-- Written by `make docs` from configs/schema/ and configs/settings.py. -->

A use case is one YAML file in `configs/`, or in a folder named by `RATCHET_CONFIGS` or `--configs`. The
name of the file is the name of the use case. Unknown keys, wrong types and combinations that cannot work are
refused when the file is read; the message names file, key, value and what is allowed. `ratchet schema` prints
the JSON schema: with `# yaml-language-server: $schema=...` in the first line of a file, editors complete and
check it.
[How to add a use case](add-a-use-case.md) shows one from beginning to end.
"""
ENVIRONMENT = f"""\
## Environment

An argument on the command line comes first, then the environment, then the default. Variables of MLflow,
Prefect and BentoML themselves (`PREFECT_HOME`, `BENTOML_HOME`, `MLFLOW_TRACKING_USERNAME`, ...) are honoured
where they are set; telemetry of all four tools is off. Those of PostgreSQL's clients (`PGSSLMODE`,
`PGSERVICE`, ...) are for a database of yours: with Ratchet's own none is read. Each command
tells of a variable that is named like one of these and is none, with the nearest that there is. Left alone
are `{PREFIX}KEY`, which examples here have, names that begin with `{PREFIX}TEST_`, `{PREFIX}BENCH_` or
`{PREFIX}SCREENSHOTS`, and what Kubernetes sets for a Service whose name begins with `ratchet`.

| variable | default | |
|---|---|---|
"""


def configuration_page() -> str:
    """The whole page, as Markdown."""
    rows = "".join(f"| `{name}` | {default} | {about} |\n" for name, default, about in variables())
    parts = [
        HEAD,
        "## Keys of a use case\n",
        *_sections(UseCase, "", {}),
        "## Estimators\n\nValues of `model.estimator`, and what each takes in `model.params`.\n",
        *(_estimator(name, params) for name, params in estimators().items()),
        ENVIRONMENT + rows,
    ]
    return "\n".join(parts)


def estimators() -> dict[str, type[BaseModel]]:
    """Each estimator of the table, and the model of its parameters: the one whose docstring names it."""
    models: dict[str, type[BaseModel]] = {}
    for name, place in ESTIMATORS.items():
        module = import_module(place.split(":")[0])
        models[name] = next(
            one
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, Params) and f"`{name}`" in (one.__doc__ or "")
        )
    return models


def keys(model: type[BaseModel], prefix: str = "", told: set[type[BaseModel]] | None = None) -> Iterator[str]:
    """Every key of `model` and of the models inside it, dotted; of a model that comes again, its own only."""
    told = set() if told is None else told
    told.add(model)
    for name, info in model.model_fields.items():
        yield prefix + name
        inner = _model_in(info.annotation)
        if inner is not None and inner not in told:
            yield from keys(inner, f"{prefix}{name}.", told)


def _estimator(name: str, params: type[BaseModel]) -> str:
    about = inspect.cleandoc(inspect.getmodule(params).__doc__ or "").split("\n\n")[0]
    in_order = dict.fromkeys((*params.__annotations__, *params.model_fields))  # its own before inherited ones
    told = key_docstrings(params)
    rows = "".join(_row("", key, params.model_fields[key], told.get(key)) for key in in_order)
    return f"### `{name}`\n\n{about}\n\n| parameter | value | default | |\n|---|---|---|---|\n{rows}"


def _sections(model: type[BaseModel], prefix: str, told: dict[type[BaseModel], str]) -> Iterator[str]:
    """A table for `model`, then one for each model inside it that has none yet.

    Args:
        told: the models that have a table, and under which key.
    """
    told[model] = prefix.removesuffix(".")
    title = f"### `{prefix.removesuffix('.')}`\n\n" if prefix else ""
    about = "" if not prefix else inspect.cleandoc(model.__doc__ or "").split("\n\n")[0] + "\n\n"
    docs = key_docstrings(model)
    rows = "".join(_row(prefix, name, info, docs.get(name)) for name, info in model.model_fields.items())
    yield f"{title}{about}| key | value | default | |\n|---|---|---|---|\n{rows}"
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        if inner in told:
            yield f"The keys of `{prefix}{name}` are those of `{told[inner]}`.\n"
        elif inner is not None:
            yield from _sections(inner, f"{prefix}{name}.", told)


def _row(prefix: str, name: str, info: FieldInfo, docstring: str | None) -> str:
    name = info.alias or name
    inner = _model_in(info.annotation)
    about = inspect.cleandoc(docstring or (inner.__doc__ if inner else "") or "").replace("\n", " ")
    return f"| `{prefix}{name}` | {_kind(info)} | {_default(info)} | {about} |\n".replace("  ", " ")


def _kind(info: FieldInfo) -> str:
    bounds = [text for part in info.metadata if (text := _bound(part))]
    return ", ".join([_type(info.annotation), *bounds])


def _type(annotation: Any) -> str:
    """A type in the words of a reader of YAML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [text for part in _flat(arguments[1:]) if (text := _bound(part))]
        return ", ".join([_type(arguments[0]), *bounds])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in arguments if one is not NoneType) + (
            " or null" if NoneType in arguments else ""
        )
    if origin is tuple:
        return f"list of {_type(arguments[0])}" if arguments[-1] is ... else f"{len(arguments)} values"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, "mapping")


def _flat(parts: Any) -> Iterator[Any]:
    """Constraints, also those that a `Field(...)` inside an annotation carries."""
    for part in parts:
        yield from part.metadata if isinstance(part, FieldInfo) else (part,)


def _bound(part: Any) -> str | None:
    if isinstance(part, MinLen):
        return f"{part.min_length} or more"
    if isinstance(part, MaxLen):
        return f"up to {part.max_length}"
    return describe_bound(part, ",")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if isinstance(info.default, BaseModel) or _model_in(info.annotation) is not None:
        return ""
    if info.default is None:
        return "null"
    if isinstance(info.default, tuple):
        return f"`[{', '.join(str(one) or chr(34) * 2 for one in info.default)}]`"
    return f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The configuration model that an annotation holds, if any."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        model = _model_in(argument)
        if model is not None:
            return model
    return None
