"""Register deployments with a Prefect server, and settle what an earlier worker left there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import ConcurrencyOptions, FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Crashed
from prefect.utilities.callables import parameter_schema

from flows.scheduling.deployments import JOB_TEMPLATE, TAG, Entry, pull_step
from flows.stack.errors import StackError

PAGE = 200
PROCESS = "process"
NOT_FOUND = 404
WORKING = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


class PoolError(StackError):
    """A work pool that flow runs cannot be given to."""


class PoolMissing(PoolError):
    """A pool that people have to make: what its runs are started in only they know."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"Prefect has no work pool '{name}', and one of type {kind} needs its image and environment: "
            f"`prefect work-pool create {name} --type {kind}`, see docs/compute.md"
        )


class PoolDiffers(PoolError):
    """A pool of another type than the environment says."""

    def __init__(self, name: str, had: str, wanted: str) -> None:
        super().__init__(
            f"Prefect's work pool '{name}' is of type {had}, and RATCHET_WORK_POOL_TYPE is {wanted}; "
            f"set it to {had}, or name another pool in RATCHET_WORK_POOL"
        )


async def ensure_pool(client: PrefectClient, name: str, kind: str, *, sole: bool) -> None:
    """Create the work pool, for processes of this machine, where there is none.

    Args:
        kind: its type; of another than `process` people make it, as only they know its image.
        sole: nobody else uses the pool, so one that lets runs ask for more than ours does is put right.

    Raises:
        PoolMissing: it is of another type, and there is none.
        PoolDiffers: there is one of another type.
    """
    try:
        pool = await client.read_work_pool(name)
    except ObjectNotFound:
        if kind != PROCESS:
            raise PoolMissing(name, kind) from None
        with contextlib.suppress(ObjectAlreadyExists):
            made = WorkPoolCreate(name=name, type=PROCESS, base_job_template=JOB_TEMPLATE)
            await client.create_work_pool(made)
        return
    if pool.type != kind:
        raise PoolDiffers(name, pool.type, kind)
    if sole and kind == PROCESS and pool.base_job_template != JOB_TEMPLATE:
        await client.update_work_pool(name, WorkPoolUpdate(base_job_template=JOB_TEMPLATE))


async def register(client: PrefectClient, entries: Iterable[Entry], checkout: Path) -> int:
    """Create or replace those deployments that differ from their entry, and return how many did.

    One that is as it should be is left alone, with whatever people have paused or resumed. One that would
    run other code, or in another way, is made anew, whatever its version says.
    """
    registered = {deployment.name: deployment for deployment in await _read_deployments(client)}
    changed = 0
    for entry in entries:
        version = _version(entry, checkout)
        deployment = registered.get(entry["name"])
        if deployment is not None and not _runs_ours(deployment, entry, checkout):
            await client.delete_deployment(deployment.id)  # with all that was changed in it
            deployment = None
        if deployment is None or deployment.version != version:
            await _write(client, entry, checkout, version)
            changed += 1
    return changed


async def remove_others(client: PrefectClient, names: Iterable[str]) -> list[str]:
    """Delete Ratchet's deployments that are not in `names`: their use cases are gone."""
    kept = set(names)
    gone = [one for one in await _read_deployments(client) if one.name not in kept]
    for deployment in gone:
        await client.delete_deployment(deployment.id)
    return [deployment.name for deployment in gone]


async def settle_runs(
    client: PrefectClient, pool_name: str, now: datetime | None = None, *, held: Collection[str] = ()
) -> tuple[int, int]:
    """Make a fresh start possible for the only worker of the pool: returns (crashed, dropped).

    Runs that were at work when the last worker died are marked as crashed. Scheduled ones whose time
    passed while no worker was there are dropped: a night without servers must not end in a hundred
    runs at once. Runs that a person asked for are kept.

    Args:
        held: ids of flow runs that are at work on another machine.
    """
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool_name]))
    working = await _read_runs(client, WORKING, pool=pool)
    if working:  # a flow called by a flow belongs to no pool
        working += await _read_runs(client, WORKING, parents=[run.id for run in working])
    gone = [run for run in working if str(run.id) not in held]
    for run in gone:
        await client.set_flow_run_state(
            run.id, Crashed(message="the worker ended while this run was at work"), force=True
        )
    due = await _read_runs(client, [StateType.SCHEDULED], pool=pool, before=now or datetime.now(UTC))
    missed = [run for run in due if run.auto_scheduled]
    for run in missed:
        await client.delete_flow_run(run.id)
    return len(gone), len(missed)


async def forget_worker(client: PrefectClient, pool_name: str, name: str) -> None:
    """Have Prefect no longer list a worker that has ended, if it does; it forgets none by itself."""
    whom = {"work_pool_name": pool_name, "name": name}
    try:
        await client.request("DELETE", "/work_pools/{work_pool_name}/workers/{name}", path_params=whom)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != NOT_FOUND:
            raise


def load_flow(entry: Entry) -> Flow[..., Any]:
    """The flow that an entry starts, by its entrypoint `<path>.py:<function>`."""
    path, function = entry["entrypoint"].split(":")
    flow: Flow[..., Any] = getattr(import_module(path.removesuffix(".py").replace("/", ".")), function)
    return flow


async def _write(client: PrefectClient, entry: Entry, checkout: Path, version: str) -> None:
    flow = load_flow(entry)
    limit = entry.get("concurrency_limit")
    deployment_id = await client.create_deployment(
        flow_id=await client.create_flow_from_name(flow.name),
        name=entry["name"],
        version=version,
        description=entry["description"],
        tags=entry["tags"],
        entrypoint=entry["entrypoint"],
        parameters=entry["parameters"],
        parameter_openapi_schema=parameter_schema(flow).model_dump(),
        enforce_parameter_schema=True,
        work_pool_name=entry["work_pool"]["name"],
        pull_steps=[pull_step(str(checkout))],
        concurrency_limit=limit and limit["limit"],
        concurrency_options=limit and ConcurrencyOptions(collision_strategy=limit["collision_strategy"]),
        schedules=[
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron=one["cron"], timezone=one["timezone"]),
                parameters=one.get("parameters", {}),
                slug=one["slug"],
                active=True,
            )
            for one in entry["schedules"]
        ],
    )
    await client.delete_resource_owned_automations(f"prefect.deployment.{deployment_id}")
    for one in entry.get("triggers", []):
        trigger = DeploymentEventTrigger.model_validate(one)
        trigger.set_deployment_id(deployment_id)
        await client.create_automation(trigger.as_automation())


def _runs_ours(deployment: DeploymentResponse, entry: Entry, checkout: Path) -> bool:
    """Whether what the server holds runs the entry's flow from this checkout, as the pool runs it."""
    return (
        deployment.entrypoint == entry["entrypoint"]
        and deployment.path is None
        and deployment.pull_steps == [pull_step(str(checkout))]
        and deployment.work_pool_name == entry["work_pool"]["name"]
        and not deployment.job_variables
    )


def _version(entry: Entry, checkout: Path) -> str:
    """Short digest of what a deployment says, to see later whether it still says so."""
    text = json.dumps([entry, str(checkout)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


async def _read_deployments(client: PrefectClient) -> list[DeploymentResponse]:
    deployments: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])),
            limit=PAGE,
            offset=len(deployments),
        )
        deployments += page
        if len(page) < PAGE:
            return deployments


async def _read_runs(
    client: PrefectClient,
    states: list[StateType],
    *,
    pool: WorkPoolFilter | None = None,
    parents: list[UUID] | None = None,
    before: datetime | None = None,
) -> list[FlowRun]:
    runs: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
                parent_flow_run_id=parents and FlowRunFilterParentFlowRunId(any_=parents),
                expected_start_time=before and FlowRunFilterExpectedStartTime(before_=before),
            ),
            work_pool_filter=pool,
            limit=PAGE,
            offset=len(runs),
        )
        runs += page
        if len(page) < PAGE:
            return runs
