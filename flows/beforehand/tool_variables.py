"""Whether Prefect and MLflow can read the variables of theirs that the user has set, asked before they run.

They read them late and say so oddly: Prefect's server ends at once, MLflow's client fails in the middle of a
retrain. Both are slow to import, and Prefect keeps what it has read: a process of its own asks them, and only
where something is set that is more than text.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from configs.errors import ConfigError
from configs.settings import Settings
from flows.beforehand.asking import AskedInVain, ask, tell
from flows.servers.environment import QUIET, child_environment, tool_defaults, tool_environment

NAME = "check"
PREFECT, MLFLOW = "PREFECT_", "MLFLOW_"
ANY_TEXT = frozenset(
    {
        "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN", "PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING",
        "PREFECT_HOME",
    }
)  # fmt: skip
"""Of those, any text can be read; what is wrong with one is seen when it is used."""
MOST_SHOWN = 40
SECRET = ("HEADERS", "STRING", "KEY", "PASSWORD", "TOKEN", "URL")
"""Words in names of variables whose value is not shown."""


def ensure_readable(settings: Settings, environ: Mapping[str, str]) -> None:
    """Refuse the first variable that its tool cannot read.

    Raises:
        ConfigError: naming it, and what the tool says.
    """
    for problem in unreadable(settings, environ):
        raise ConfigError(problem)


def unreadable(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that its tool cannot read."""
    ours = QUIET | tool_defaults(settings) | tool_environment(settings)
    own = sorted(
        name
        for name, value in environ.items()
        if name.startswith((PREFECT, MLFLOW)) and name not in ANY_TEXT and ours.get(name) != value
    )
    if not own:
        return []
    try:
        found: dict[str, str] = ask(
            "flows.beforehand.tool_variables", own, child_environment(settings, NAME, environ)
        )
    except AskedInVain as error:
        return [f"{', '.join(own)}: the check of them {error}"]
    return [_sentence(name, environ[name], why) for name, why in found.items()]


def _sentence(name: str, value: str, why: str) -> str:
    tool = "Prefect" if name.startswith(PREFECT) else "MLflow"
    is_secret = any(word in name for word in SECRET)
    has = "has a value" if is_secret else f"has value '{value[:MOST_SHOWN]}'"
    return f"{name} {has} that {tool} cannot read: {why}"


def _problem_for_prefect() -> str | None:
    from prefect.settings import Settings as PrefectSettings
    from pydantic import ValidationError

    try:
        PrefectSettings()
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    except ValueError:  # of how settings are written, which is no error of their validation
        return "Input should be JSON"
    return None


def _problem_for_mlflow(name: str) -> str | None:
    from mlflow import environment_variables

    variable = getattr(environment_variables, name, None)
    if variable is None:  # read by its server or a plugin, or by nobody
        return None
    try:
        variable.get()
    except ValueError as error:
        return str(error).rpartition(f"{name}: ")[2]
    return None


def main(names: list[str]) -> None:
    """Set each variable by itself, and tell which its tool cannot read, and why."""
    values = {name: os.environ.pop(name) for name in names}
    found: dict[str, str | None] = {}
    for name, value in values.items():
        os.environ[name] = value
        found[name] = _problem_for_prefect() if name.startswith(PREFECT) else _problem_for_mlflow(name)
        del os.environ[name]
    tell({name: why for name, why in found.items() if why is not None})


if __name__ == "__main__":
    main(sys.argv[1:])
