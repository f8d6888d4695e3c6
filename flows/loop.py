"""The loop as Prefect flows: ingest, drift, retrain.

Each flow is wiring: its tasks are the plain functions of `flows.inbox`, `flows.drift` and
`flows.retrain`. One flow has many tasks rather than many flows, because a flow run costs about a
second and a task next to nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from prefect import State, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Cancelled, Completed
from prefect.tasks import Task

from configs.security.printable import one_line
from flows import drift as drift_steps
from flows import inbox as inbox_steps
from flows.context import LoopContext, open_context
from flows.prefect_artifacts import show_drift, show_ingest, show_retrain
from flows.retention import pruning
from flows.retrain import outcome as outcomes
from flows.retrain import production as production_steps
from flows.retrain import shadows as shadow_steps
from flows.retrain import steps
from flows.retrain.checkpoints import clear_checkpoints, discarding_if_stopped
from flows.retrain.held_run import HeldRun, holding_run
from flows.retrain.outcome import RetrainResult
from flows.retrain.production import Production
from models.errors import ModelError, TrainingStopped
from models.retraining.triggers import RetrainDecision
from store.database.faults import FAULTS
from store.errors import Fenced, RunBusy, RunNotFound
from store.snapshots.index import Snapshot

P = ParamSpec("P")
R = TypeVar("R")


def _worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """A stop or a lost run is an answer, not an outage."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, TrainingStopped | Fenced)


def _outside(function: Callable[P, R]) -> Task[P, R]:
    """A step that touches the database or MLflow: tried again when that fails."""
    return task(
        name=function.__name__.replace("_", "-"),
        retries=2,
        retry_delay_seconds=[1, 5],
        retry_condition_fn=_worth_retrying,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(function)


def _inside(function: Callable[P, R]) -> Task[P, R]:
    """A step that computes: the same again would fail the same."""
    name = function.__name__.replace("_", "-")
    return task(name=name, cache_policy=NO_CACHE, persist_result=False)(function)


settle = _outside(steps.settle)
ensure_data = _outside(steps.ensure_data)
find_production = _outside(production_steps.find_production)
snapshot_rows = _outside(steps.snapshot_rows)
read_frame = _outside(steps.read_frame)
train_all = _inside(steps.train_all)
protect_rows = _outside(steps.protect_rows)
score_shadows = _outside(shadow_steps.score_shadows)
judge_all = _inside(steps.judge_all)
log_all = _outside(outcomes.log_all)
register_best = _outside(outcomes.register_best)
keep_shadows = _outside(shadow_steps.keep_shadows)
act_on_verdict = _outside(outcomes.act_on_verdict)
read_inbox = _outside(inbox_steps.read_inbox)
check_drift = _outside(drift_steps.check_use_case)
log_drift = _outside(drift_steps.log_drift)
retrain_decision = _outside(steps.retrain_decision)
prune = _outside(pruning.prune)


@flow(name="ingest", flow_run_name="ingest-{use_case}", validate_parameters=True)
def ingest(use_case: str) -> State[Any]:
    """Read the inbox of a use case, then retrain if that is due."""
    context = open_context(use_case)
    report = read_inbox(context)
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
    with _workdir(context) as workdir:
        report = check_drift(context, workdir)
        if report is None:
            return Completed(message="no production yet to compare with")
        url = log_drift(context, report)
    decision = retrain_decision(context)
    show_drift(use_case, report, decision, url)
    _tidy(context)
    if decision.verdict == "retrain":
        retrain(use_case, trigger=decision.trigger or "drift")
    finding = report.decision
    return Completed(message=f"{finding.verdict}: {finding.reason}", data=finding.as_dict())


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
            context.database_url,
            use_case,
            trigger=trigger,
            run_id=run_id or None,
            flow_run_id=str(runtime.flow_run.id),
            on_progress=lambda progress: log.debug("%s", progress),
        ) as held:
            result = _retrain(context, held, trigger)
            held.result.update(result.as_dict())
    except TrainingStopped as stopped:
        return Cancelled(message=str(stopped))
    except (RunBusy, RunNotFound) as busy:
        if trigger == "person" and not run_id:
            raise
        return Completed(message=f"skipped: {busy}")
    _tidy(context)
    show_retrain(result, context.settings.mlflow_uri)
    return Completed(message=f"{result.outcome}: {result.reason}", data=result.as_dict())


TIDIED_LATER: tuple[type[Exception], ...] = (ModelError, *FAULTS)
"""What does not spoil the result of a run that has ended."""


def _tidy(context: LoopContext) -> None:
    """Forget what is old; a server that is away now leaves that to the next run, whose result stands."""
    log = get_run_logger()
    try:
        for removal in prune(context, now=datetime.now(UTC)) or ():
            log.info("old %s deleted: %d", removal.what, removal.count)
    except TIDIED_LATER as error:
        log.warning("what is old stays until the next run: %s", error)


def _retrain(context: LoopContext, held: HeldRun, trigger: str) -> RetrainResult:
    """The steps in order, with the time that each takes."""
    clock = _Clock(held)
    use_case = context.use_case
    with clock.step("settle"):
        for sentence in settle(context):
            get_run_logger().warning(one_line(sentence))
    with clock.step("data"):
        ensure_data(context)
    with clock.step("production"):
        production = find_production(context)
        if production.problem is not None:
            get_run_logger().warning(production.problem)
    with clock.step("snapshot"):
        snapshot = snapshot_rows(context, production)
    for sentence in steps.misfits(context, snapshot):
        get_run_logger().warning(one_line(sentence))
    missing = steps.not_enough(context, snapshot) or _nothing_new(held.kind, trigger, production, snapshot)
    if missing is not None:
        return outcomes.skipped(context, held, production, snapshot, missing, clock.seconds)
    frame = read_frame(context, snapshot)
    home = context.settings.home
    with clock.step("record"):
        protection = protect_rows(context, production, snapshot, frame)
        evidence = score_shadows(context, held, production, snapshot, protection)
    with _workdir(context) as workdir:
        with clock.step("train"), discarding_if_stopped(home, use_case):
            trained, failed = train_all(
                context,
                held,
                production,
                snapshot,
                frame,
                trigger=trigger,
                workdir=workdir,
                record=evidence.record,
            )
        with clock.step("gate"):
            judgement = judge_all(
                context,
                held,
                production,
                frame,
                trained,
                left_out=steps.labels_left_out(context, production, snapshot),
                protection=protection,
                evidence=evidence,
            )
        with clock.step("log"):
            logged = log_all(context, held, snapshot, trained, judgement)
            name, version = register_best(context, held, trained, judgement, logged)
            keep_shadows(context, held, snapshot, evidence, trained, logged, (name, version))
    with clock.step("promote"):
        outcome = act_on_verdict(
            context, held, production, judgement.decisions[name], version, challenger=name, actor=trigger
        )
    clear_checkpoints(home, use_case.name)
    return RetrainResult(
        use_case=use_case.name,
        run_id=str(held.run_id),
        outcome=outcome,
        reason=judgement.decisions[name].reason,
        version=version,
        production_before=production.number,
        challenger=name,
        decisions={name: decision.as_dict() for name, decision in judgement.decisions.items()},
        scores={name: dict(scores) for name, scores in judgement.scores.items()},
        production_scores=judgement.production_scores,
        original_scores=judgement.original_scores,
        failures=failed,
        snapshot=snapshot.digest,
        train_rows=snapshot.train_rows,
        holdout_rows=judgement.rows,
        steps=clock.seconds,
        left_out_rows=snapshot.left_out_rows,
        left_out=[reason.as_dict() for reason in snapshot.left_out],
        warnings=(*snapshot.warnings, *judgement.warnings, *evidence.notes),
    )


def _nothing_new(kind: str, trigger: str, production: Production, snapshot: Snapshot) -> str | None:
    """Neither a schedule nor a warm start repeats what production already knows; a person may retrain."""
    known = production.known
    if known is None or known.late or snapshot.last_seq > known.last:
        return None
    if trigger == "schedule" or kind == "train":
        if production.reach != known:
            return "no label has come since the version that production has gone back from was trained"
        return "no label has come since production was trained"
    return None


def _retrain_if_due(context: LoopContext) -> RetrainDecision:
    decision = retrain_decision(context)
    if decision.verdict == "retrain":
        retrain(context.use_case.name, trigger=decision.trigger or "labels")
    return decision


class _Clock:
    """Says each step to the run that is held and keeps its seconds."""

    def __init__(self, held: HeldRun) -> None:
        self.held = held
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        self.held.say(name)
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)


@contextmanager
def _workdir(context: LoopContext) -> Iterator[Path]:
    """A folder of this run's own, gone afterwards."""
    folder = context.settings.home / "work" / str(uuid4())
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
