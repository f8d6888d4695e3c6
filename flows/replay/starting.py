"""From what a person asks for to a replay that has been written down."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from configs.errors import ConfigError
from configs.loading import POLICY_PARTS, check_use_case
from configs.schema import UseCase
from configs.settings import Settings
from configs.yaml_files import read_yaml
from features.pretrained.keeping import vectors_kept
from flows.compute.opening import address_of, opened_pool
from flows.replay.history import History, cut, read_file, read_stored, usual_period
from flows.replay.plan import Plan, plan_folder
from flows.replay.results.picture import draw
from flows.replay.runner import ORDER, Outcome, Progress, replay
from store.database.connection import connect, database_url
from store.objects.opening import open_storage
from store.replays import attempting, write_document
from store.shared_replays import PICTURE, publish_replay

FIRST_PERIODS = 8
"""What the first model learns from, where nobody says."""


@dataclass(frozen=True)
class ReplayRequest:
    """What is asked for."""

    data: Path | None = None
    """A labelled file; None: the stored labels."""
    period: int | timedelta | None = None
    """Rows or time of a period; None: a sixtieth of the history."""
    first: int = FIRST_PERIODS
    delay: int = 0
    policies: Sequence[Path] = ()
    """YAML files with `training:` and `gate:` of more policies."""
    jobs: int = 0
    fresh: bool = False
    """Forget what an earlier replay of the same has done."""


def run_replay(
    settings: Settings, use_case: UseCase, request: ReplayRequest, progress: Progress
) -> tuple[Outcome, Path]:
    """Replay, and write `replay.json` and `replay.png` into the folder that is given back.

    Raises:
        ConfigError: a policy's file sets what cannot be.
        SourceError: there are too few rows, or the file cannot be read.
        StorageError: it is in the folder, and cannot be published; the same again does only that.
    """
    if request.delay >= request.first:
        raise ConfigError(
            f"`--delay` {request.delay}: the first model is made after {request.first} periods, when no "
            f"label would have come; name fewer than {request.first}, or more with `--first`"
        )
    variants = read_policies(use_case, request.policies)
    history = read_history(settings, use_case, request.data)
    period = request.period or usual_period(history, use_case.retrain.min_labels)
    periods = cut(history, period, request.first)
    folder = plan_folder(settings.home, use_case, history, periods, request.delay)
    if request.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    jobs = request.jobs or address_of(settings, use_case).processes or 0
    plan = Plan(use_case, history, periods, folder, request.delay, variants, jobs, settings.home)
    with attempting(folder, command_of(use_case.name, request)), vectors_kept(settings.home):
        if address_of(settings, use_case).scheduler is None:
            outcome = replay(plan, progress)
        else:
            with opened_pool(settings, use_case) as pool:
                outcome = replay(plan, progress, pool)
    write_document(folder, outcome.as_dict())
    draw(outcome, folder / PICTURE)
    publish_replay(open_storage(settings), use_case.name, folder)
    return outcome, folder


def command_of(use_case: str, request: ReplayRequest) -> str:
    """What a person types to go on with a replay, on this machine."""
    words = ["ratchet", "replay", use_case]
    if request.data is not None:
        words += ["--data", str(request.data.resolve())]
    if isinstance(request.period, timedelta):
        words += ["--periods", f"{request.period // timedelta(hours=1)}h"]
    elif request.period is not None:
        words += ["--periods", str(request.period)]
    if request.first != FIRST_PERIODS:
        words += ["--first", str(request.first)]
    if request.delay:
        words += ["--delay", str(request.delay)]
    for policy in request.policies:
        words += ["--policy", str(policy.resolve())]
    return shlex.join([*words, *(["--jobs", str(request.jobs)] if request.jobs else [])])


def read_history(settings: Settings, use_case: UseCase, data: Path | None) -> History:
    """The rows of a file, or the stored ones."""
    if data is not None:
        return read_file(use_case, data)
    with connect(database_url(settings)) as conn:
        return read_stored(conn, use_case)


def read_policies(use_case: UseCase, paths: Sequence[Path]) -> dict[str, UseCase]:
    """Files of policies, by the name that each has beside the others.

    Raises:
        ConfigError: a file sets what cannot be, or has a name that is taken.
    """
    policies: dict[str, UseCase] = {}
    for path in paths:
        if path.stem in (*ORDER, *policies):
            raise ConfigError(
                f"{path}: a policy has the name of its file, and '{path.stem}' is taken; rename the file"
            )
        policies[path.stem] = read_policy(use_case, path)
    return policies


def read_policy(use_case: UseCase, path: Path) -> UseCase:
    """The use case with the settings of training and gate that a file has.

    Raises:
        ConfigError: the file sets anything else, or what is not allowed.
    """
    content = read_yaml(path)
    arrived = list(content or {}) if isinstance(content, Mapping | None) else [type(content).__name__]
    if not arrived or not set(arrived) <= set(POLICY_PARTS):
        allowed = " and ".join(f"`{part}:`" for part in POLICY_PARTS)
        raise ConfigError(
            f"{path}: a policy sets {allowed} only; got {', '.join(map(str, arrived)) or 'nothing'}"
        )
    return check_use_case(_merge(use_case.model_dump(mode="json"), content), source=path)


def _merge(base: Any, change: Any) -> Any:
    """`change` over `base`, mapping by mapping."""
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        return {**base, **{key: _merge(base.get(key), value) for key, value in change.items()}}
    return change
