"""Read use cases from YAML files."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from configs.combinations import estimator_problem, vectors_problem
from configs.errors import ConfigError, UnknownUseCase
from configs.pretrained.picture_models import picture_model_problem
from configs.pretrained.text_models import is_named, text_model_problem
from configs.schema import UseCase
from configs.schema.base import describe_share
from configs.schema.features import STANDARD
from configs.schema.gate import describe_metrics
from configs.schema.target import Task
from configs.spelling.near_names import meant, meant_choice
from configs.yaml_files import read_yaml

MOST_PROBLEMS = 20
"""Problems of one file that a message lists."""
POLICY_PARTS = ("training", "gate")
"""What a file of a policy may set, by which `ratchet replay` plays a use case."""
MARKS = frozenset({"name", "kind", "record", "target"})
"""Keys of a use case; what has none of them is a file of something else."""
ELSEWHERE = "every YAML file here is read as a use case, so keep what is none in a folder of its own"
MOST_KEYS = 3
ENDING = ".yaml"
OTHER_ENDINGS = (".yml", ".yaml")
"""In whatever capitals."""
ALIASES = ("production", "original", "previous", "canary", "challenger")
"""What versions are called by their place; no challenger may have such a name."""
MAX_SHOWN = 80
"""Characters of a key or a value that a message shows."""


def load_use_case(path: Path) -> UseCase:
    """Read one file.

    Raises:
        ConfigError: the file is no YAML mapping, or a key or value in it is refused.
    """
    try:
        raw = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: holds {type(raw).__name__}; allowed: a mapping of keys (see `ratchet schema`); "
            f"{ELSEWHERE}"
        )
    if raw and raw.keys() <= set(POLICY_PARTS):
        raise ConfigError(
            f"{path}: sets {' and '.join(f'`{key}:`' for key in raw)} only, so it looks like a policy of "
            f"`ratchet replay USE_CASE --policy FILE`, not like a use case; {ELSEWHERE}"
        )
    if raw and not raw.keys() & MARKS:
        keys = ", ".join(f"`{str(key)[:MAX_SHOWN]}:`" for key in list(raw)[:MOST_KEYS])
        raise ConfigError(f"{path}: looks like no use case, as it has {keys} and no `record:`; {ELSEWHERE}")
    return parse_use_case(raw, source=path)


def parse_use_case(raw: dict[str, Any], *, source: Path) -> UseCase:
    """Check the mapping read from `source`, whose stem must be the name of the use case.

    Raises:
        ConfigError: naming file, key, value and what is allowed, one line a problem.
    """
    use_case = check_use_case(raw, source=source)
    if use_case.name != source.stem:
        raise ConfigError(
            f"{source}: name: got '{use_case.name}'; allowed: '{source.stem}', the name of the file"
        )
    return use_case


def check_use_case(raw: dict[str, Any], *, source: Path) -> UseCase:
    """The same of a mapping that is not the whole of a file, such as a use case with other settings.

    Raises:
        ConfigError: naming file, key, value and what is allowed, one line a problem.
    """
    try:
        use_case = UseCase.model_validate(_anchor_paths(raw, source.parent))
    except ValidationError as error:
        problems = error.errors()
        # A list of which an item is wrong is said to be too short besides.
        problems = [one for one in problems if one["type"] != "too_short" or not _holds(one["loc"], problems)]
        lines = [_message(source, problem, raw) for problem in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f"{source}: and {len(problems) - MOST_PROBLEMS} problems more")
        raise ConfigError("\n".join(lines)) from error
    problem = (
        _name_problem(use_case)
        or _estimator_problem(use_case)
        or _text_model_problem(use_case)
        or _backbone_problem(use_case)
    )
    if problem is not None:
        raise ConfigError(f"{source}: {problem}")
    return use_case


def _holds(place: Sequence[int | str], problems: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a place holds another problem."""
    return any(len(one["loc"]) > len(place) and one["loc"][: len(place)] == place for one in problems)


def _name_problem(use_case: UseCase) -> str | None:
    """Why a challenger or a link cannot be called as it is, or lead where it leads, if so."""
    training, chain = use_case.training, use_case.chain
    taken = (*ALIASES, *(["plain"] if training.baseline == "always" else []))
    for place, one in enumerate(training.challengers):
        if one.name in taken:
            what = "the plain model of training.baseline" if one.name == "plain" else "a version by its place"
            key = f"training.challengers[{place}].name"
            return f"{key}: got '{one.name}', which is {what}; allowed: another name"
    for place, link in enumerate(() if chain is None else chain.links):
        key = f"chain.links[{place}]"
        if link.name in ("none", chain.out_of_scope if chain else None):
            return (
                f"{key}.name: got '{link.name}', which is said where no link is sure; allowed: another name"
            )
        if link.use_case == use_case.name:
            return (
                f"{key}.use_case: got '{link.use_case}', which is this one; allowed: another use case, or "
                "`alias: production`"
            )
    return None


def _text_model_problem(use_case: UseCase) -> str | None:
    """Why texts cannot be known by their meaning here, if so; a challenger of that kind only is left out."""
    meaning = use_case.features.text.meaning
    problem = None if meaning is None else text_model_problem(meaning.model)
    return None if problem is None else f"features.text.meaning.model: {problem}"


def _backbone_problem(use_case: UseCase) -> str | None:
    """Why the network that is to look at pictures, or what learns from it, is not possible, if so."""
    for place, one in enumerate((None, *use_case.training.challengers)):
        learned = use_case if one is None else use_case.for_challenger(one)
        backbone = learned.features.image.backbone
        if backbone is None:
            continue
        key = "" if one is None else f"training.challengers[{place - 1}]."
        if (problem := picture_model_problem(backbone.model)) is not None:
            return f"{key}features.image.backbone.model: {problem}"
        if (problem := vectors_problem(learned.model.estimator)) is not None:
            return f"{key}{problem}"
    return None


def _estimator_problem(use_case: UseCase) -> str | None:
    """Why the use case's estimator, or a challenger's own, cannot work with the rest, if so."""
    task, challengers = use_case.target.task, use_case.training.challengers
    warm = [one.name for one in challengers if one.fit == "warm" and one.model is None]
    if (
        problem := estimator_problem(use_case.model.estimator, _known_kind(use_case), task, warm)
    ) is not None:
        return problem
    for one in challengers:
        if one.model is not None or one.features is not None:
            chosen = use_case.for_challenger(one)
            warm = [one.name] if one.fit == "warm" else []
            problem = estimator_problem(chosen.model.estimator, _known_kind(chosen), task, warm)
            if problem is not None:
                return f"training.challengers: '{one.name}': {problem}"
    return None


def _known_kind(use_case: UseCase) -> str | None:
    """The kind, where its own encoder makes the rows that an estimator sees."""
    return use_case.kind if use_case.features.encoder == STANDARD else None


def load_use_cases(folders: Iterable[Path]) -> dict[str, UseCase]:
    """Read every `*.yaml` in `folders`, by name.

    Raises:
        ConfigError: a file is refused, or two files describe the same use case.
    """
    use_cases: dict[str, UseCase] = {}
    sources: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted(folder.glob(f"*{ENDING}"))):
        use_case = load_use_case(path)
        if use_case.name in use_cases:
            raise ConfigError(
                f"{path}: use case '{use_case.name}' is already described by {sources[use_case.name]}"
            )
        use_cases[use_case.name] = use_case
        sources[use_case.name] = path
    return use_cases


def load_selected(folders: Sequence[Path], names: Iterable[str]) -> dict[str, UseCase]:
    """The use cases in `folders` that are named; all when no name is given.

    Raises:
        ConfigError: a file is refused, or two files describe the same use case.
        UnknownUseCase: no file describes one that is named.
    """
    use_cases, selection = load_use_cases(folders), list(names)
    if unknown := [name for name in selection if name not in use_cases]:
        raise UnknownUseCase(unknown[0], use_cases, folders, not_read(folders))
    return {name: use_cases[name] for name in selection} if selection else use_cases


def not_read(folders: Iterable[Path]) -> list[str]:
    """A sentence for each file that holds a use case under another ending, such as `.yml`."""
    found = []
    for path in (path for folder in folders for path in sorted(folder.glob("*"))):
        if path.suffix.lower() not in OTHER_ENDINGS or path.suffix == ENDING:
            continue
        try:
            raw = read_yaml(path)
        except (ConfigError, FileNotFoundError):
            continue
        if isinstance(raw, dict) and raw.keys() >= MARKS:
            found.append(f"{path} is not read: the file of a use case ends with {ENDING}")
    return found


def _anchor_paths(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths mean files beside the configuration file."""
    raw = copy.deepcopy(raw)
    training = raw.get("training")
    challengers = training.get("challengers") if isinstance(training, dict) else None
    for holder in (raw, *(challengers if isinstance(challengers, list) else ())):
        meaning = _part(holder, "features", "text", "meaning")
        for named in (meaning, _part(holder, "features", "image", "backbone")):
            if isinstance(model := named.get("model"), str) and not is_named(model):
                named["model"] = str(folder / model)
    folders = _part(raw, "files").get("picture_folders")
    if isinstance(folders, list):
        folders[:] = [str(folder / one) if isinstance(one, str) else one for one in folders]
    for part, key in ((raw, "taxonomy"), (_part(raw, "data"), "path")):
        if isinstance(part.get(key), str):
            part[key] = str(folder / part[key])
    return raw


def _part(raw: Any, *names: str) -> dict[str, Any]:
    """A mapping in mappings, as far as there is one."""
    for name in names:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw if isinstance(raw, dict) else {}


def _keys_at(place: Iterable[int | str]) -> set[str]:
    """Keys that a mapping may have, by its place in the document: `("record", "fields", 0)`."""
    models: list[type[BaseModel]] = [UseCase]
    for part in place:
        fields = [model.model_fields[str(part)] for model in models if str(part) in model.model_fields]
        if fields:  # else the place in a list, or which of several models was tried
            models = [model for field in fields for model in _models_in(field.annotation)]
    return {name for model in models for name in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a type is made of, such as those of a list or of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _shown_place(place: Iterable[int | str], raw: Any) -> str:
    """A place in the document as people know it: of a list the entry's name, where it has one.

    >>> _shown_place(("fields", 1, "type"), {"fields": [{"name": "a"}, {"name": "b"}]})
    "fields['b'].type"
    """
    shown = ""
    for part in place:
        raw = raw.get(part) if isinstance(raw, dict) else _entry(raw, part)
        name = raw.get("name") if isinstance(part, int) and isinstance(raw, dict) else None
        if isinstance(name, str) and name:
            shown += f"[{name[:MAX_SHOWN]!r}]"
        else:
            shown += f".{part}" if shown else str(part)
    return shown


def _entry(raw: Any, part: int | str) -> Any:
    return raw[part] if isinstance(raw, list) and isinstance(part, int) and part < len(raw) else None


def _message(source: Path, problem: Any, raw: Any) -> str:
    key = _shown_place(problem["loc"], raw)[: 2 * MAX_SHOWN] or "(whole file)"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = meant(str(problem["loc"][-1]), _keys_at(problem["loc"][:-1]))
        return f"{source}: {key}: unknown key{near}; `ratchet schema` lists what is allowed"
    if problem["type"] == "missing":
        return f"{source}: {key}: missing, and required"
    if problem["type"] == "value_error":
        return f"{source}: {key}: {message}"
    value, tasks = problem["input"], get_args(Task)
    named: Task | None = next((one for one in tasks if one == _part(raw, "target").get("task")), None)
    if problem["loc"] == ("gate", "metric") and isinstance(value, str) and named is not None:
        return f"{source}: {key}: {describe_metrics(value, named)}"
    told = (
        f"{message[0].lower()}{message[1:]}{meant_choice(problem)}{_quotes(problem)}{describe_share(problem)}"
    )
    return f"{source}: {key}: got {repr(value)[:MAX_SHOWN]}; {told}"


def _quotes(problem: Any) -> str:
    """How what YAML reads as something else stays a text."""
    came = problem["input"]
    if problem["type"] != "string_type" or not isinstance(came, bool | int | float | date):
        return ""
    if not isinstance(came, bool):
        return "; in quotes it is one"
    words = "yes, on and true" if came else "no, off and false"
    return f"; in quotes it is one: without them {words} are read as {came}"
