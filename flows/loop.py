"""The loop as Prefect flows: ingest, drift, retrain, which begins with a look at what was promoted last.

Each flow is wiring: its tasks are the plain functions of `flows.inbox`, `flows.drift` and
`flows.retrain`. One flow has many tasks rather than many flows, because a flow run costs about a
second and a task next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from prefect import State, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Cancelled, Completed
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from configs.security.printable import one_line
from flows import inbox as inbox_steps
from flows.context import LoopContext, open_context
from flows.drift import checking as drift_steps
from flows.drift.repeating import repeat_drift
from flows.inbox_files import is_empty, make_inbox
from flows.prefect_artifacts import show_drift, show_ingest, show_probation, show_retrain
from flows.probation import looking
from flows.retention import pruning
from flows.retrain import steps
from flows.retrain.held_run import HeldRun, holding_run
from flows.retrain.judging.run import judge_all
from flows.retrain.links.incumbents import find_links
from flows.retrain.links.keeping import keep_links
from flows.retrain.outcome import RetrainResult, act_on_verdict, log_all, register_best
from flows.retrain.production import find_production
from flows.retrain.protection import protect_rows
from flows.retrain.sequence import Conduct, carry_out, prepare, skipped, summed_up
from flows.retrain.shadows import keep_shadows, score_shadows
from flows.retrain.tracking import Logged, draw_pictures
from flows.retrain.training.elsewhere.sending import train_elsewhere
from flows.retrain.training.run import train_all
from models.errors import ModelError, TrainingStopped
from models.retraining.triggers import RetrainDecision
from store.database.faults import FAULTS
from store.database.sessions import session_url
from store.errors import Fenced, RunBusy, RunNotFound, StorageSilent, StoreError

P = ParamSpec("P")
R = TypeVar("R")


def _worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """A stop or a lost run is an answer, not an outage, and who never answers has been waited for already."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, TrainingStopped | Fenced | StorageSilent)


def _outside(function: Callable[P, R]) -> Callable[P, R]:
    """A step that touches the database or MLflow: tried again when that fails."""
    again: dict[str, Any] = {
        "retries": 2, "retry_delay_seconds": [1, 5], "retry_condition_fn": _worth_retrying,
    }  # fmt: skip
    return _as_task(function, **again)


def _inside(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """A step that computes: the same again would fail the same."""
    return _as_task(function, **options)


def _as_task(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """The step as a task, whose arguments are handed on unread.

    Prefect would go through each of them, down to the last field of a configuration or record, for results
    of other tasks, of which there are none.
    """
    name = function.__name__.replace("_", "-")
    made = task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)(function)

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        unread: dict[str, Any] = {key: quote(value) for key, value in kwargs.items()}
        result: R = made(*map(quote, args), **unread)
        return result

    return run


REACHING_OUT: tuple[Callable[..., Any], ...] = (
    steps.settle,
    steps.ensure_data,
    find_production,
    find_links,
    steps.snapshot_rows,
    steps.read_rows,
    protect_rows,
    score_shadows,
    log_all,
    register_best,
    keep_shadows,
    keep_links,
    act_on_verdict,
)
COMPUTING: tuple[Callable[..., Any], ...] = (train_all, judge_all)
TASKS = {step: _outside(step) for step in REACHING_OUT} | {step: _inside(step) for step in COMPUTING}
"""The steps of a retrain."""
# A pool makes challengers side by side, and each is seen by its name.
TASKS[train_elsewhere] = _inside(train_elsewhere, task_run_name="train-{challenger}")
read_inbox = _outside(inbox_steps.read_inbox)
check_drift = _outside(drift_steps.check_use_case)
log_drift = _outside(drift_steps.log_drift)
repeat_last_check = _outside(repeat_drift)
retrain_decision = _outside(steps.retrain_decision)
prune = _outside(pruning.prune)
look_if_due = _outside(looking.look_if_due)


class AsTasks(Conduct):
    """Each step is a task of the flow run, and warnings are lines of its log."""

    def taking(self, step: Callable[P, R]) -> Callable[P, R]:
        """Its task."""
        return TASKS[step]

    def warn(self, sentence: str) -> None:
        """Into the log of the flow run."""
        get_run_logger().warning(one_line(sentence))


@flow(name="ingest", flow_run_name="ingest-{use_case}", validate_parameters=True)
def ingest(use_case: str) -> State[Any]:
    """Read the inbox of a use case, then retrain if that is due."""
    context = open_context(use_case)
    folder = make_inbox(context.settings.home, use_case)
    report = (
        inbox_steps.NOTHING_READ if is_empty(folder) else read_inbox(context)
    )  # a task costs more than the look
    show_ingest(use_case, report.read, report.refused, report.left)
    for name, why in report.refused.items():
        get_run_logger().error("%s was refused: %s", one_line(name), one_line(why))
    for name, why in report.left.items():
        get_run_logger().warning("%s stays in the inbox: %s", one_line(name), one_line(why))
    for file in report.read:
        for note in file.notes:
            get_run_logger().info("%s: %s", one_line(file.file), one_line(note))
    decision = _retrain_if_due(context)
    stored = sum(file.new for file in report.read)
    return Completed(message=f"{len(report.read)} files, {stored} new rows; retrain: {decision.verdict}")


@flow(name="drift", flow_run_name="drift-{use_case}", validate_parameters=True)
def drift(use_case: str) -> State[Any]:
    """Compare recent records with production's training data, then retrain if that is due."""
    context = open_context(use_case)
    repeated = repeat_last_check(context.settings, context.use_case)
    if repeated is not None:
        return Completed(
            message=f"nothing has come since the last check: {repeated['verdict']}: {repeated['reason']}",
            data=repeated,
        )
    with context.workdir() as workdir:
        report = check_drift(context, workdir)
        if report is None:
            return Completed(message="no production yet to compare with")
        url = log_drift(context, report)
    decision = retrain_decision(context)
    show_drift(use_case, report, decision, url)
    _tidy(context)
    if decision.verdict == "retrain":
        retrain(use_case, trigger=decision.trigger or "drift")
    found = report.findings
    return Completed(message=f"{found.verdict}: {found.reason}", data=found.as_dict())


@flow(name="retrain", flow_run_name="retrain-{use_case}-{trigger}", validate_parameters=True)
def retrain(use_case: str, trigger: str = "person", run_id: str | None = None) -> State[Any]:
    """Snapshot, train, judge, and promote what beats production.

    Args:
        use_case: name of a configuration.
        trigger: what asked for it: person, schedule, labels, drift, age or first_model.
        run_id: a run row that was asked for before; absent or empty, one is made.
    """
    context = open_context(use_case)
    log = get_run_logger()
    try:
        with holding_run(
            session_url(context.settings),
            use_case,
            trigger=trigger,
            run_id=run_id or None,
            flow_run_id=str(runtime.flow_run.id),
            on_progress=lambda progress: log.debug("%s", progress),
        ) as held:
            result, logged = _retrain(context, held, trigger)
            held.result.update(result.as_dict())
    except TrainingStopped as stopped:
        return Cancelled(message=str(stopped))
    except (RunBusy, RunNotFound) as busy:
        if trigger == "person" and not run_id:
            raise
        return Completed(message=f"skipped: {busy}")
    if result.outcome != "skipped":  # else nothing was made; what grows old meanwhile goes once a day
        _draw(context, logged)
        _tidy(context)
        show_retrain(result, context.settings.mlflow_uri)
    return Completed(message=f"{result.outcome}: {result.reason}", data=result.as_dict())


TIDIED_LATER: tuple[type[Exception], ...] = (ModelError, StoreError, OSError, *FAULTS)
"""What does not spoil the result of a run that has ended."""


def _tidy(context: LoopContext) -> None:
    """Forget what is old; a server that is away now leaves that to the next run, whose result stands."""
    log = get_run_logger()
    try:
        for removal in prune(context, now=datetime.now(UTC)) or ():
            log.info("old %s deleted: %d", removal.what, removal.count)
    except TIDIED_LATER as error:
        log.warning("what is old stays until the next run: %s", error)
    except Exception:  # of MLflow, or of the library of the storage that it has its files in
        log.exception("what is old stays until the next run")


def _draw(context: LoopContext, logged: Mapping[str, Logged]) -> None:
    """Pictures come last: whoever waits for the version need not wait for them."""
    try:
        draw_pictures(context.settings.mlflow_uri, logged.values())
    except TIDIED_LATER as error:
        get_run_logger().warning("MLflow has no pictures of this run: %s", error)
    except Exception:  # noqa: BLE001 - it is told, as in `_tidy`
        get_run_logger().exception("MLflow has no pictures of this run")


def _retrain(context: LoopContext, held: HeldRun, trigger: str) -> tuple[RetrainResult, Mapping[str, Logged]]:
    """The steps as tasks of this flow run; what they came to, and what MLflow was told."""
    conduct = AsTasks(held)
    probation = look_if_due(context)
    if probation is not None:
        show_probation(context.use_case.name, probation)
    ground = prepare(context, conduct, trigger)
    if ground.missing is not None:
        return skipped(context, conduct, ground), {}
    retrained = carry_out(context, conduct, trigger, ground)
    return summed_up(context, conduct, ground, retrained), retrained.logged


def _retrain_if_due(context: LoopContext) -> RetrainDecision:
    decision = retrain_decision(context)
    if decision.verdict == "retrain":
        retrain(context.use_case.name, trigger=decision.trigger or "labels")
    return decision
