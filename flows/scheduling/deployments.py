"""Prefect deployments and their schedules, derived from the use cases.

The document is what `prefect deploy --all` reads from `prefect.yaml`; `ratchet up` registers the
same entries by itself (`flows.scheduling.worker`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from configs.schema import UseCase

Entry = dict[str, Any]
"""One deployment, as `prefect.yaml` writes it."""

EARLIER_WORKER = "ratchet"
"""What Prefect knew every worker of `ratchet up` by, wherever it was, before each had a name of its own."""
LABELS_DUE = "ratchet.labels.due"
"""The event that says that a use case has the labels for its next retrain."""
JOB_TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True, "command": "python -m flows.warm.client"},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
"""What a run may ask of the worker beyond its parameters: nothing. Prefect's own template for processes has
it set the command, the environment (which names the code to run) and the working directory. The command has
the run forked from a process that has imported the flows (`flows.warm`)."""
TAG = "ratchet"
HEADER = """\
# Written by `ratchet deployments` from configs/*.yaml; edit those and run it again.
# `ratchet up` registers these by itself; with a Prefect server of your own:
#   prefect work-pool create {pool} --type {kind}
#   prefect deploy --all
"""
PURPOSES = {
    "ingest": "Reads the files in the inbox of {title}, and retrains where that is due.",
    "drift": "Compares recent records of {title} with what production learned from, and retrains where that "
    "is due.",
    "retrain": "Trains challengers for {title}; the one that beats production on the same held-out rows "
    "replaces it.",
}
"""Flow of `flows.loop` -> what its deployments do."""


def prefect_document(use_cases: Iterable[UseCase], pool: str) -> dict[str, Any]:
    """The whole of `prefect.yaml`. It holds no path: the checkout is where `prefect deploy` runs."""
    return {
        "name": "ratchet",
        "build": [
            {"prefect.deployments.steps.run_shell_script": {"id": "checkout", "script": "pwd"}},
        ],
        "pull": [pull_step("{{ checkout.stdout }}")],
        "deployments": [entry for use_case in use_cases for entry in deployments(use_case, pool)],
    }


def deployments(use_case: UseCase, pool: str) -> list[Entry]:
    """One entry for each flow, whose runs go to a work pool: `<use case>-ingest`, `-drift`, `-retrain`."""
    return [_deployment(use_case, flow, pool) for flow in PURPOSES]


def pull_step(folder: str) -> dict[str, Any]:
    """The step that takes a flow run to the checkout."""
    return {"prefect.deployments.steps.set_working_directory": {"directory": folder}}


def prefect_yaml(use_cases: Iterable[UseCase], pool: str, kind: str) -> str:
    """The text of `prefect.yaml`, for a work pool of this name and type."""
    text = yaml.safe_dump(prefect_document(use_cases, pool), sort_keys=False, width=100, allow_unicode=True)
    return HEADER.format(pool=pool, kind=kind) + text


def _deployment(use_case: UseCase, flow: str, pool: str) -> Entry:
    entry: Entry = {
        "name": f"{use_case.name}-{flow}",
        "description": PURPOSES[flow].format(title=use_case.title),
        "tags": [TAG, use_case.name, flow],
        "entrypoint": f"flows/loop.py:{flow}",
        "parameters": {"use_case": use_case.name},
        "work_pool": {"name": pool},
        "schedules": _schedules(use_case, flow),
    }
    if flow != "retrain":
        # One run at a time is enough. Retrains have a lock of their own that, unlike this one, is released
        # at once when its process is killed (`store.runs.lifecycle`).
        entry["concurrency_limit"] = {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    if flow == "retrain" and use_case.retrain.every_labels is not None:
        entry["triggers"] = [_labels_trigger(use_case.name)]
    return entry


def worker_name(home: Path) -> str:
    """What Prefect knows the worker of `ratchet up` by: its host and its home, the same at each start.

    >>> worker_name(Path("/srv/ratchet")).partition(":")[2]
    'srv-ratchet'
    """
    # Prefect refuses "/" and "%" in such a name.
    return f"{socket.gethostname()}:{re.sub('[/%]', '-', str(home.absolute()).strip('/'))}"


def resource_of(use_case: str) -> str:
    """What Prefect's events call a use case."""
    return f"ratchet.use-case.{use_case}"


def _labels_trigger(use_case: str) -> dict[str, Any]:
    """Retrain on the event; one sent by somebody else may lack `run_id`."""
    run_id = {"__prefect_kind": "jinja", "template": "{{ event.payload.run_id }}"}
    return {
        "type": "event",
        "name": f"{use_case}-labels-due",
        "expect": [LABELS_DUE],
        "match": {"prefect.resource.id": resource_of(use_case)},
        "parameters": {"use_case": use_case, "trigger": "labels", "run_id": run_id},
    }


def _schedules(use_case: UseCase, flow: str) -> list[dict[str, Any]]:
    cron: str | None = getattr(use_case.schedule, flow)
    if cron is None:
        return []
    schedule: dict[str, Any] = {"cron": cron, "timezone": use_case.schedule.timezone, "slug": flow}
    if flow == "retrain":
        # A run that a person starts in the Prefect UI keeps the flow's default, "person".
        schedule["parameters"] = {"trigger": "schedule"}
    return [schedule]
