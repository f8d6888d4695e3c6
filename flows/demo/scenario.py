"""The demo: from nothing to a served model, a stream that drifts, and a promotion that recovers it.

Everything is real: the servers, the images, the requests, the gate. It lives in a folder of its own
under the home, starts from nothing each time, and ends with everything stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.loading import load_use_cases
from configs.schema import UseCase
from configs.settings import Settings
from features.files.datasets import load_dataset
from features.records.contract import RecordContract
from features.records.labels import LabelContract
from flows.cli.terminal.progress import bar
from flows.demo.seeing_again import seeing_again
from flows.demo.stream import DRIFTS, Client, Images, Traffic
from flows.servers.environment import apply_environment, quieten_logs
from flows.servers.prefect_access import ensure_password
from flows.stack.addresses import addresses
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from models.production.ledger import last_move
from store.database.connection import connect, database_url
from store.ingest.files import ingest_dataset

SERVED_WITHIN = 30.0
BATCH = 50


class DemoFailed(Exception):
    """The demo did not show what it is there to show."""


@dataclass
class DemoResult:
    """What the demo measured, for the closing table; accuracies are shares, 0 to 1."""

    use_case: str
    drift_kind: str
    steps: list[tuple[str, float]] = field(default_factory=list)
    accuracy_clean: float = 0.0
    accuracy_before: float = 0.0
    accuracy_after: float = 0.0
    version_before: int = 0
    version_after: int = 0
    swap_seconds: float = 0.0
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    drift_reason: str = ""
    gate_reason: str = ""


@dataclass(frozen=True)
class Stream:
    """Images with labels, held in memory."""

    images: Images
    labels: list[str]

    def part(self, start: int, stop: int) -> Stream:
        """Some of them."""
        return Stream(self.images[start:stop], self.labels[start:stop])


def run_demo(settings: Settings, console: Console, environ: Mapping[str, str]) -> DemoResult:
    """Play the demo and return what happened; the servers are stopped in any case.

    Args:
        environ: of the shell, for the command that is told at the end.

    Raises:
        DemoFailed: a request failed, drift was not seen, or the drifted accuracy was not recovered.
    """
    use_case = demo_use_case(settings)
    home = settings.home / "demo"
    settings = replace(
        settings, home=home, storage_url=None, api_keys=home / "keys.yaml", use_cases=(use_case.name,)
    )
    bring_down(settings, _silent)
    shutil.rmtree(home, ignore_errors=True)
    if settings.starts_prefect:
        ensure_password(settings)  # which this process adopts too
    apply_environment(settings)
    quieten_logs()
    result = DemoResult(use_case.name, use_case.demo.drift if use_case.demo else "")
    steps = _Steps(console, result)
    try:
        with steps.step("servers started"):
            bring_up(settings, lambda server, what: steps.note(f"{server}: {what}"))
        _play(settings, use_case, result, steps)
        console.print(closing_table(result, addresses(settings)))
    finally:
        with steps.step("servers stopped"):
            bring_down(settings, _silent)
    console.print(seeing_again(home, use_case.name, environ), highlight=False)
    check(result)
    return result


def demo_use_case(settings: Settings) -> UseCase:
    """The first configuration that describes a demo.

    Raises:
        DemoFailed: none does.
    """
    for use_case in load_use_cases(settings.config_dirs).values():
        if use_case.demo is not None and use_case.data.dataset is not None:
            return use_case
    raise DemoFailed("no configuration has `demo` and `data.dataset`")


def check(result: DemoResult) -> None:
    """Fail where the loop did not do its work.

    Raises:
        DemoFailed: saying what is missing.
    """
    if result.failures:
        raise DemoFailed(f"{len(result.failures)} requests failed; the first: {result.failures[0]}")
    if result.version_after == result.version_before:
        raise DemoFailed(f"no challenger was promoted: {result.gate_reason}")
    if result.accuracy_after <= result.accuracy_before:
        change = f"from {result.accuracy_before:.3f} to {result.accuracy_after:.3f}"
        raise DemoFailed(f"accuracy on drifted images went {change}")


def _play(settings: Settings, use_case: UseCase, result: DemoResult, steps: _Steps) -> None:
    # Prefect and MLflow read the environment when they are imported, and `apply_environment` has just set it.
    from flows.launch import drift_now

    assert use_case.demo is not None
    with steps.step("first rows stored"):
        clean, stream = _prepare(settings, use_case)
    with steps.step("first model trained and promoted"):
        first = _retrain(settings, use_case.name, "first_model")
    client = Client(settings.service_url, use_case.name, use_case.record.fields[0].name)
    traffic = Traffic(
        Client(settings.service_url, use_case.name, use_case.record.fields[0].name), clean.images
    )
    with steps.step("first model served"):
        _wait_until_served(client, clean, int(first["version"]))
    result.version_before = int(first["version"])
    traffic.start()
    try:
        with steps.step("clean and drifted images answered, labels sent"):
            result.accuracy_clean = _accuracy(client, clean)
            labelled = stream.part(0, int(len(stream.labels) * 0.7))
            result.accuracy_before = _accuracy(client, labelled, send_labels=True)
        with steps.step("drift checked"):
            drift = drift_now(settings, use_case.name)
        result.drift_reason = _sentence(drift)
        steps.note(result.drift_reason)
        with steps.step("challenger trained, judged and promoted"):
            retrain = _retrain(settings, use_case.name, "drift")
        result.gate_reason = retrain["reason"]
        steps.note(f"gate: {retrain['outcome']}: {retrain['reason']}")
        if retrain["outcome"] == "promoted":
            result.version_after = int(retrain["version"])
            result.swap_seconds = _swap_seconds(settings, use_case.name, traffic, result.version_after)
        with steps.step("unseen drifted images answered by the new version"):
            result.accuracy_after = _accuracy(client, stream.part(len(labelled.labels), len(stream.labels)))
    finally:
        traffic.stop()
        result.requests = traffic.client.sent + client.sent
        result.failures = traffic.failures
        client.close()
        traffic.client.close()


def _prepare(settings: Settings, use_case: UseCase) -> tuple[Stream, Stream]:
    """Store the first rows, and keep the last ones: some as they are, the rest changed into the stream."""
    demo = use_case.demo
    assert demo is not None
    assert use_case.data.dataset is not None
    table = load_dataset(use_case.data.dataset)
    first_rows = table.num_rows - demo.rows
    with connect(database_url(settings)) as conn:
        ingest_dataset(conn, use_case, use_case.data.dataset, rows=first_rows)
    last_rows = table.slice(first_rows)
    columns = RecordContract(use_case.record).check_table(last_rows).all_or_raise()
    texts, _ = LabelContract(use_case.target, use_case.record.missing).check(
        last_rows[use_case.target.column].to_pylist()
    )
    labels = [str(text) for text in texts]
    images = columns[use_case.record.fields[0].name]
    clean = Stream(images[:200], labels[:200])
    return clean, Stream(DRIFTS[demo.drift](images), labels)


def _retrain(settings: Settings, use_case: str, trigger: str) -> dict[str, Any]:
    """Through the Prefect worker, as a schedule would."""
    from flows.launch import retrain_on_worker

    with bar("retrain") as progress:
        return retrain_on_worker(settings, use_case, trigger=trigger, on_progress=progress.follow_run)


def _wait_until_served(client: Client, stream: Stream, version: int) -> None:
    """Until the service has noticed its first model.

    Raises:
        DemoFailed: it does not.
    """
    deadline = time.monotonic() + SERVED_WITHIN
    while client.served_version(stream.images[:1]) != version:
        if time.monotonic() > deadline:
            raise DemoFailed(f"version {version} was not served within {SERVED_WITHIN:.0f} s")
        time.sleep(0.1)


def _swap_seconds(settings: Settings, use_case: str, traffic: Traffic, version: int) -> float:
    """From the ledger's row of the promotion to the first answer of the new version.

    Raises:
        DemoFailed: it does not answer in time.
    """
    first_answer = traffic.wait_for(version, SERVED_WITHIN)
    if first_answer is None:
        raise DemoFailed(f"version {version} was not served within {SERVED_WITHIN:.0f} s")
    with connect(database_url(settings)) as conn:
        move = last_move(conn, use_case)
    if move is None or move.to_version != version:
        raise DemoFailed(f"the ledger does not say that version {version} was promoted")
    return first_answer - move.at.timestamp()


def _accuracy(client: Client, stream: Stream, *, send_labels: bool = False) -> float:
    """Share of the stream that is answered rightly; labels go back by prediction id."""
    right = 0
    for start in range(0, len(stream.labels), BATCH):
        part = stream.part(start, start + BATCH)
        answers = client.predict(part.images)
        right += int(np.sum(np.array(answers.labels) == np.array(part.labels)))
        if send_labels:
            client.send_labels(answers.prediction_ids, part.labels)
    return right / len(stream.labels)


def closing_table(result: DemoResult, where: Mapping[str, str]) -> Table:
    """What happened, on one screen."""
    table = Table(title=f"One turn of the ratchet: {result.use_case}", show_header=False, title_style="bold")
    table.add_column(style="dim")
    table.add_column()
    table.add_row("accuracy, clean images", f"{result.accuracy_clean:.3f} (version {result.version_before})")
    table.add_row(
        f"accuracy, drifted ({result.drift_kind})",
        Text.assemble(
            f"{result.accuracy_before:.3f} (version {result.version_before})  ->  ",
            (f"{result.accuracy_after:.3f}", "bold"),
            f" (version {result.version_after}, on images it has not seen)",
        ),
    )
    table.add_row("drift", result.drift_reason)
    table.add_row("gate", result.gate_reason)
    table.add_row("requests", f"{result.requests} sent, {len(result.failures)} failed")
    table.add_row("promotion to first answer", f"{result.swap_seconds:.2f} s")
    table.add_section()
    for name, seconds in result.steps:
        table.add_row(name, f"{seconds:.1f} s")
    table.add_section()
    for name, address in where.items():
        table.add_row(name, address)
    return table


def _silent(_server: str, _what: str) -> None:
    """Print nothing."""


def _sentence(drift: Mapping[str, Any] | None) -> str:
    if drift is None:
        raise DemoFailed("there is no production to check drift against")
    return f"{drift['verdict']}: {drift['reason']}"


class _Steps:
    """Prints each step when it is done, and adds its seconds to the result."""

    def __init__(self, console: Console, result: DemoResult) -> None:
        self.console = console
        self.result = result

    def note(self, text: str) -> None:
        """One line."""
        self.console.print(f"      {text}", highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside, and print one line at its end."""
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self.result.steps.append((name, seconds))
        self.console.print(Text("ok", "green"), f"{seconds:5.1f} s  {name}", highlight=False)
