"""Who comes in to a whole stack: the owner by every way; web pages of others, in a real browser, by none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page

from configs.api_keys import add_key, remove_key
from configs.settings import Settings
from flows.servers.prefect_access import auth_headers, password_file, profiles_file, read_password
from flows.servers.sign_in import write_sign_in
from flows.stack.first_models import train_first_models
from flows.stack.processes import marked_processes
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from store.database.connection import connect, database_url
from tests.docs.pages import read
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.e2e.strangers import (
    EVIL,
    REBOUND,
    Call,
    calls_on,
    evil_site,
    listening,
    send_all,
)
from tests.service.page.browsing import chromium

pytestmark = pytest.mark.timeout(600)
TABLES = ("feedback", "prediction", "ledger", "run", "job", "pause")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("configs")
    data = write_apples(folder / "apples.csv", 600, edge=0.5)
    config = f"{CONFIG}data: {{path: {data}}}\n"
    (folder / f"{USE_CASE}.yaml").write_text(config, encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        train_first_models(settings, lambda _name, _said: None, lambda _said: None)
        wait_until_served(settings)
        yield settings


def wait_until_served(settings: Settings) -> None:
    until = time.monotonic() + PATIENCE
    while httpx.get(f"{settings.service_url}/v1/{USE_CASE}/model").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What an attacker's command would leave behind."""
    return tmp_path / "was-here"


@pytest.fixture
def calls(stack: Settings, marker: Path) -> list[Call]:
    name = f"deployments/name/retrain/{USE_CASE}-retrain"
    found = httpx.get(f"{stack.prefect_url}/{name}", headers=auth_headers(stack)).raise_for_status().json()
    return calls_on(USE_CASE, found["id"], f"touch {marker}")


@pytest.fixture(scope="module")
def evil() -> Iterator[int]:
    with evil_site() as port:
        yield port


def everything(stack: Settings) -> dict[str, Any]:
    """All that a stranger could have changed."""
    with connect(database_url(stack)) as conn:
        tables = {
            row[0]
            for row in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        }
        assert tables > {"feedback", "ledger"}
        rows: dict[str, Any] = {}
        for table in sorted(tables & set(TABLES)):
            found = conn.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            assert found is not None
            rows[table] = found[0]
    with httpx.Client(base_url=stack.prefect_url, headers=auth_headers(stack)) as prefect:
        runs = prefect.post("/flow_runs/count", json={}).raise_for_status().json()
        pool = prefect.get("/work_pools/ratchet").raise_for_status().json()["base_job_template"]
        deployments = prefect.post("/deployments/count", json={}).raise_for_status().json()
    with httpx.Client(base_url=f"{stack.mlflow_uri}/api/2.0/mlflow") as mlflow:
        models = mlflow.get("/registered-models/search").raise_for_status().json()
        query = {"max_results": 100}
        experiments = mlflow.post("/experiments/search", json=query).raise_for_status().json()["experiments"]
    return {
        **rows,
        "runs": runs,
        "pool": pool,
        "deployments": deployments,
        "models": models,
        "experiments": [one["name"] for one in experiments],
    }


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    yield opened
    context.close()


def attack_from(page: Page, place: str, ports: Iterator[int] | list[int], calls: list[Call]) -> None:
    """Everything that a page of another origin can send: no answer is a success, none can be read."""
    for port in ports:
        page.goto(place)
        base = f"http://127.0.0.1:{port}"
        answered: list[tuple[str, int]] = []

        def hear(response: Any, base: str = base, answered: list[tuple[str, int]] = answered) -> None:
            if response.url.startswith(base):
                answered.append((f"{response.request.method} {response.url}", response.status))

        page.on("response", hear)
        seen = send_all(page, base, calls)
        page.remove_listener("response", hear)
        assert {attempt.way for attempt in seen} >= {"json", "plain", "no-cors", "form", "script", "socket"}
        assert [one for one in seen if one.status and one.way not in ("beacon", "form")] == []
        assert [one for one in seen if one.text] == []
        assert [one for one in answered if one[1] < 400] == []


RUN_A_COMMAND = """
async ([api, known, command]) => {
  const ask = async (path, body) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(api + path, { method: "POST", headers, body: JSON.stringify(body) });
    return answer.json();
  };
  let id = known;
  try { id = (await ask("/deployments/filter", {})).find((one) => one.name.endsWith("-drift")).id; } catch { }
  const run = { job_variables: { command } };
  try { return await ask(`/deployments/${id}/create_flow_run`, run); } catch { return null; }
}
"""


def test_a_page_cannot_have_the_worker_run_a_command(
    stack: Settings, page: Page, evil: int, marker: Path
) -> None:
    found = httpx.get(
        f"{stack.prefect_url}/deployments/name/drift/{USE_CASE}-drift", headers=auth_headers(stack)
    ).json()
    page.goto(f"http://{EVIL}:{evil}/")
    command = f"sh -c 'id > {marker}'"
    assert page.evaluate(RUN_A_COMMAND, [stack.prefect_url, found["id"], command]) is None
    page.wait_for_timeout(3000)  # the worker asks for runs every second
    assert not marker.exists()


@pytest.mark.parametrize(
    "host", [EVIL, *(pytest.param(name, marks=pytest.mark.slow) for name in ("localhost", "127.0.0.1"))]
)
def test_a_page_of_another_origin_changes_and_reads_nothing(
    stack: Settings, page: Page, evil: int, host: str, calls: list[Call], marker: Path
) -> None:
    ports = {one.port for one in listening(stack)}
    assert {stack.port, stack.mlflow_port, stack.prefect_port} < ports
    before = everything(stack)
    attack_from(page, f"http://{host}:{evil}/", sorted(ports), calls)
    assert everything(stack) == before
    assert not marker.exists()


def test_a_name_that_was_bent_to_this_machine_changes_and_reads_nothing(
    stack: Settings, page: Page, calls: list[Call], marker: Path
) -> None:
    before = everything(stack)
    for port in (stack.port, stack.mlflow_port, stack.prefect_port):
        base = f"http://{REBOUND}:{port}"
        first = page.goto(base)
        assert first is not None
        assert first.status == 403
        seen = send_all(page, base, calls)
        assert {attempt.status for attempt in seen if attempt.way in ("json", "plain")} == {403}
        told = " ".join(attempt.text for attempt in seen)
        assert "RATCHET_ALLOWED_HOSTS" in told
        assert [word for word in ("promoted", "weight", "pool", "experiment", "opened") if word in told] == []
    for port in {one.port for one in listening(stack)} - {stack.port, stack.mlflow_port, stack.prefect_port}:
        with pytest.raises(Exception, match="net::ERR"):
            page.goto(f"http://{REBOUND}:{port}", timeout=5000)
    assert everything(stack) == before
    assert not marker.exists()


def test_not_even_the_owner_has_a_run_replace_the_workers_command(
    stack: Settings, calls: list[Call], marker: Path
) -> None:
    create = next(call for call in calls if call.path.endswith("create_flow_run"))
    address = f"{stack.prefect_url.removesuffix('/api')}{create.path}"
    for name, value in {
        "command": f"touch {marker}",
        "env": {"PREFECT__FLOW_ENTRYPOINT": f"{marker}.py:flow"},
        "working_dir": str(marker.parent),
        "entrypoint": f"{marker}.py:flow",
    }.items():
        refused = httpx.post(address, json={"job_variables": {name: value}}, headers=auth_headers(stack))
        assert refused.status_code == 422
        assert f"'{name}' was unexpected" in refused.json()["detail"]
    assert not marker.exists()


def test_the_ports_that_are_open_are_those_of_the_documentation(stack: Settings) -> None:
    table = read("docs/security.md").partition("## Ports")[2].partition("\n\n**")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    found = listening(stack)
    assert {one.server for one in found} == set(told)
    assert {one.address for one in found} == {"127.0.0.1"}


def signed_in(page: Page, stack: Settings) -> None:
    """Open Prefect's UI as `ratchet open prefect` does."""
    password = read_password(stack)
    assert password is not None
    page.goto(write_sign_in(stack, password).as_uri())
    page.get_by_text("Active Work Pools").wait_for()


def test_the_owner_signs_in_to_prefect_and_runs_a_deployment_there(stack: Settings, page: Page) -> None:
    outside: list[str] = []
    page.on("requestfinished", lambda request: outside.append(request.url))
    signed_in(page, stack)
    base = stack.prefect_url.removesuffix("/api")
    page.get_by_role("link", name="Deployments").click()
    page.get_by_role("link", name=f"{USE_CASE}-drift").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Quick run").click()
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    with httpx.Client(base_url=stack.prefect_url, headers=auth_headers(stack)) as prefect:
        query = {"flow_runs": {"tags": {"all_": [USE_CASE, "drift"]}}}
        until = time.monotonic() + PATIENCE
        while True:
            found = prefect.post("/flow_runs/filter", json=query).raise_for_status().json()
            if [one for one in found if one["state_type"] == "COMPLETED"]:
                break
            assert time.monotonic() < until, found
            time.sleep(0.5)
    assert [url for url in outside if not url.startswith((base, "file:", "data:", "blob:"))] == []


def test_the_owner_signs_in_by_hand_under_either_name(stack: Settings, page: Page) -> None:
    password = read_password(stack)
    assert password is not None
    for name in ("localhost", "127.0.0.1"):
        page.goto(f"http://{name}:{stack.prefect_port}/")
        page.wait_for_url("**/login*")
        page.locator("input").first.fill(password)
        page.keyboard.press("Enter")
        page.get_by_text("Active Work Pools").wait_for()
        page.get_by_role("link", name="Deployments").click()
        page.get_by_role("link", name=f"{USE_CASE}-retrain").wait_for()


def test_a_link_into_prefect_asks_for_the_password_and_then_leads_there(stack: Settings, page: Page) -> None:
    password = read_password(stack)
    assert password is not None
    with httpx.Client(base_url=stack.prefect_url, headers=auth_headers(stack)) as prefect:
        (run,) = prefect.post("/flow_runs/filter", json={"limit": 1}).raise_for_status().json()
    page.goto(f"http://127.0.0.1:{stack.prefect_port}/runs/flow-run/{run['id']}")
    page.locator("input").first.fill(password)
    page.keyboard.press("Enter")
    page.get_by_text(run["name"]).first.wait_for()
    assert page.url.startswith(f"http://127.0.0.1:{stack.prefect_port}/v2/runs/flow-run/{run['id']}")


@pytest.mark.slow
def test_what_was_changed_in_a_deployment_does_not_outlive_the_next_start(stack: Settings) -> None:
    """An intruder who had the password is out once it was changed."""
    with httpx.Client(base_url=stack.prefect_url, headers=auth_headers(stack)) as prefect:
        named = f"/deployments/name/ingest/{USE_CASE}-ingest"
        found = prefect.get(named).raise_for_status().json()
        changed = {"entrypoint": "/tmp/evil.py:flow", "path": "/tmp"}
        prefect.patch(f"/deployments/{found['id']}", json=changed).raise_for_status()
        assert prefect.get(named).json()["entrypoint"] == "/tmp/evil.py:flow"
        password_file(stack.home).unlink()
        profiles_file(stack.home).unlink()
        bring_down(stack, lambda _server, _what: None)
    bring_up(stack, lambda _server, _what: None)
    wait_until_served(stack)
    with httpx.Client(base_url=stack.prefect_url, headers=auth_headers(stack)) as prefect:
        found = prefect.get(named).raise_for_status().json()
    assert (found["entrypoint"], found["path"]) == ("flows/loop.py:ingest", None)


def test_a_wrong_password_opens_nothing(stack: Settings, page: Page) -> None:
    page.goto(write_sign_in(stack, "ratchet:guessed").as_uri())
    page.get_by_text("Not signed in").wait_for()
    assert page.evaluate("localStorage.getItem('prefect-password')") is None


def test_mlflow_works_for_the_owner_in_its_ui_and_by_its_client(stack: Settings, page: Page) -> None:
    from mlflow import MlflowClient

    page.goto(f"{stack.mlflow_uri}/#/models/{USE_CASE}/versions/1")
    page.get_by_text("ratchet.snapshot").first.wait_for()
    client = MlflowClient(stack.mlflow_uri, stack.mlflow_uri)
    client.set_model_version_tag(USE_CASE, "1", "note", "mine")
    assert client.get_model_version(USE_CASE, "1").tags["note"] == "mine"


def test_the_page_and_links_to_it_work(stack: Settings, page: Page, evil: int) -> None:
    page.goto(f"http://{EVIL}:{evil}/")
    page.evaluate(f"location.href = '{stack.service_url}/ui'")
    page.get_by_text("Apples").first.wait_for()
    answer = page.evaluate("fetch('/v1/apples/ledger').then((answer) => answer.status)")
    assert answer == 200


def test_nothing_tells_the_password(stack: Settings) -> None:
    password = read_password(stack)
    assert password is not None
    secret = password.partition(":")[2]
    for process in marked_processes(stack.home):
        with suppress(psutil.NoSuchProcess):  # which ends meanwhile
            assert secret not in " ".join(process.cmdline())
    keepers = {password_file(stack.home), profiles_file(stack.home), stack.home / "prefect" / "sign-in.html"}
    for path in stack.home.rglob("*"):
        if path.is_file() and path not in keepers and "postgres" not in path.parts:
            assert secret.encode() not in path.read_bytes(), path


def test_with_keys_on_it_is_the_same(
    stack: Settings, page: Page, evil: int, calls: list[Call], marker: Path
) -> None:
    # The last one: a service that had keys stays closed when they are gone.
    before = everything(stack)
    add_key(stack.api_keys, "shop", ["admin"])
    try:
        until = time.monotonic() + PATIENCE
        while httpx.get(f"{stack.service_url}/v1/{USE_CASE}/ledger").status_code != 401:
            assert time.monotonic() < until
            time.sleep(0.2)
        attack_from(page, f"http://{EVIL}:{evil}/", [stack.port, stack.prefect_port], calls)
        page.goto(f"http://{REBOUND}:{stack.port}")
        seen = send_all(page, f"http://{REBOUND}:{stack.port}", calls)
        assert {attempt.status for attempt in seen if attempt.way in ("json", "plain")} == {403}
    finally:
        remove_key(stack.api_keys, "shop")
    assert everything(stack) == before
    assert not marker.exists()
