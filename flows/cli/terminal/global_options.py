"""The application: global options, how errors are said, and exit codes.

0: done; 1: it failed or was refused, with one line that says why; 2: what the command was given is wrong, so
the same again fails again.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from configs.errors import ConfigError
from configs.logs import configure_logs
from configs.security.printable import printable
from configs.security.umask import set_private_umask
from configs.settings import Settings, read_settings
from configs.spelling.near_names import meant
from configs.variables import tell_set_in_vain
from flows.cli.terminal.streams import prepare_streams

if TYPE_CHECKING:
    from configs.schema import UseCase

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_QUOTED = re.compile(r"'([^']*)'")
LONGEST = 80
FAILED = 1
USAGE = 2


class CommandGroup(TyperGroup):
    """Says known errors in one clear line; what is not known keeps its traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run as a program does."""
        prepare_streams()
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command and turn errors into exit codes."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _with_what_came(error)
            raise
        except ConfigError as error:
            _complain(error)
            raise typer.Exit(USAGE) from error
        except input_errors() as error:
            _complain(error)
            raise typer.Exit(USAGE) from error
        except _known_errors() as error:
            _complain(error)
            raise typer.Exit(FAILED) from error
        except _database_faults() as error:
            from store.database.faults import sentence

            _complain(sentence(error), error)
            raise typer.Exit(FAILED) from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            _complain(f"nothing more can be written: {error.strerror}; make room, or write elsewhere")
            raise typer.Exit(FAILED) from error
        except UnicodeEncodeError as error:
            # What a terminal of another encoding sends stands for bytes, and can be neither stored nor sent.
            _complain(f"got '{error.object[:LONGEST]}', which is no text in UTF-8")
            raise typer.Exit(USAGE) from error
        except ValueError as error:
            if not (problems := _unreadable_variables()):
                raise
            _complain(problems[0])
            raise typer.Exit(USAGE) from error


app = typer.Typer(
    name="ratchet",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    configs: Annotated[
        list[Path] | None,
        typer.Option(
            "--configs",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder of use cases beside the shipped ones; may be repeated. Also RATCHET_CONFIGS. "
            "Default: those that the home serves from.",
        ),
    ] = None,
) -> None:
    """Keeps served classifiers improving from labelled feedback, and guards them against getting worse.

    [bold]ratchet up[/bold] starts everything; [bold]ratchet COMMAND --help[/bold] shows an example of each.
    """
    set_private_umask()
    tell_set_in_vain(os.environ)
    if configs:
        folders = [*(str(one) for one in configs), *os.environ.get("RATCHET_CONFIGS", "").split(os.pathsep)]
        os.environ["RATCHET_CONFIGS"] = os.pathsep.join(folder for folder in folders if folder)


def _with_what_came(error: typer.BadParameter) -> str:
    """The complaint about an option's value, with what was probably meant, or with that value where it is
    not told: a number is asked for."""
    from pydantic import ValidationError  # which Typer reads values by

    if not isinstance(error.__cause__, ValidationError):
        return error.message
    problem = error.__cause__.errors()[0]
    came, message = repr(problem["input"]), error.message.removeprefix("Value error, ")
    if (allowed := _number_allowed(error.param)) is not None:
        return f"got {printable(came)}; allowed: {allowed}"
    if " is not one of " in message:
        return message.removesuffix(".") + meant(str(problem["input"]), _QUOTED.findall(message)[1:])
    return message if came in message else f"{message}; got {printable(came)}"


def _number_allowed(parameter: Any) -> str | None:
    """What an option or argument that is a number may be; None: it is none."""
    described = getattr(parameter, "type_descriptor", None)
    if described is None or described.annotation not in (int, float):
        return None
    from features.records.error_messages import bounds

    given = described.parameter_info
    noun = "a whole number" if described.annotation is int else "a number"
    return noun + bounds(given.min, given.max)


def recalled_settings() -> Settings:
    """The settings, with what the home serves where neither environment nor options say that.

    A folder that is gone is named.
    """
    from configs.served import recall

    recalled = recall(read_settings(), os.environ)
    for folder in recalled.gone:
        _complain(
            f"the folder {folder}, which use cases of this home came from, is gone; "
            "name where they are by --configs DIR or RATCHET_CONFIGS"
        )
    return recalled.settings


def settings_here() -> Settings:
    """The same, also put into this process's environment for the tools that it is about to import."""
    from flows.servers.environment import apply_environment

    settings = recalled_settings()
    apply_environment(settings)
    if settings.log_format == "json":
        configure_logs(settings.log_format)
    return settings


def connected_settings(use_case: str | None = None, *, prefect: bool = True) -> Settings:
    """Like `settings_here`, once the servers that a command needs are seen to answer.

    Args:
        use_case: what the command was given; a wrong name is said whatever servers do.

    Raises:
        UnknownUseCase: there is none of this name.
        NotUp: one does not.
        NotPrefect: something else than Prefect answers where it is said to be.
        DatabaseUnavailable: nor does the database of yours, without which the local ones cannot be up.
    """
    from flows.servers.environment import quieten_logs
    from flows.stack.errors import NotUp
    from flows.stack.probes import answers, ensure_prefect_address

    settings = settings_here()
    if use_case is not None:
        named_use_case(settings, use_case)
    if settings.mlflow_uri.startswith("http") and not answers(f"{settings.mlflow_uri}/health"):
        _ensure_own_database(settings)
        raise NotUp("MLflow", settings.mlflow_uri, ours=settings.starts_mlflow)
    if prefect:
        ensure_prefect_address(settings)
    if prefect and not answers(f"{settings.prefect_url}/health"):
        _ensure_own_database(settings)
        raise NotUp("Prefect", settings.prefect_url, ours=settings.starts_prefect)
    quieten_logs()
    return settings


def _ensure_own_database(settings: Settings) -> None:
    """Tell of a database of the user's that does not answer, rather than of what cannot be up without it."""
    from store.database.connection import connect

    if settings.database_url is not None:
        connect(settings.database_url).close()


def named_use_case(settings: Settings, name: str) -> UseCase:
    """The configuration of a use case.

    Raises:
        UnknownUseCase: there is none of this name.
    """
    from configs.loading import load_selected

    return load_selected(settings.config_dirs, [name])[name]


def input_errors() -> tuple[type[BaseException], ...]:
    """Errors of what a command was given: a file, a name, a version; asked only when one was raised."""
    from features.errors import FeatureError
    from models.errors import AlreadyProduction, NotConfigurable, NotHeld, UnknownVersion
    from store.errors import UnknownLabels, UnknownSource, WrongLabels

    return (
        FeatureError,
        WrongLabels,
        UnknownSource,
        UnknownLabels,
        UnknownVersion,
        AlreadyProduction,
        NotConfigurable,
        NotHeld,
        FileExistsError,
        FileNotFoundError,
        IsADirectoryError,
        NotADirectoryError,
    )


def _known_errors() -> tuple[type[BaseException], ...]:
    """Errors that say by themselves what is wrong; asked only when one was raised."""
    from flows.compute.errors import ComputeError
    from flows.stack.errors import StackError
    from models.errors import ModelError
    from store.errors import StoreError

    return StoreError, ModelError, StackError, ComputeError, PermissionError


def _database_faults() -> tuple[type[Exception], ...]:
    """What a database raises that went away, or takes no writes, while a command used it."""
    from store.database.faults import FAULTS

    return FAULTS


def _unreadable_variables() -> list[str]:
    """Variables by which Prefect or MLflow may have failed; asked only when something was raised."""
    from flows.beforehand.tool_variables import unreadable

    return unreadable(read_settings(), os.environ)


def _complain(message: BaseException | str, error: BaseException | None = None) -> None:
    """One line: the message, and the notes of the error that it is of."""
    notes: Sequence[str] = getattr(error or message, "__notes__", ())
    sys.stderr.write(f"ratchet: {printable('; '.join([str(message), *notes]))}\n")
