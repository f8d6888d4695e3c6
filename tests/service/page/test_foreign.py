"""A real Chromium on a page of another origin, and on a name bent to the service: neither gets in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser

from configs.api_keys import SCOPES, add_key
from tests.e2e.strangers import evil_site
from tests.service.http.test_foreign_pages import PLANS, counts, operations, stored
from tests.service.servers import Server, put_in_cache

__all__ = ["stored"]
NAME = "evil.example"
ATTEMPT = """async ([url, method, body, type, mode]) => {
  try {
    const options = {method, mode, credentials: "include"};
    if (!["GET", "HEAD"].includes(method)) Object.assign(options, {body, headers: {"content-type": type} });
    const answer = await fetch(url, options);
    return [answer.type, answer.status, await answer.text()];
  } catch (error) { return ["failed", 0, ""]; }
}"""
EMBED = """([url, tag, name]) => new Promise((resolve) => {
  const made = document.createElement(tag);
  made.onload = () => resolve("loaded");
  made.onerror = () => resolve("failed");
  made[name] = url;
  if (tag === "link") made.rel = "stylesheet";
  document.body.append(made);
})"""
BODY = '{"items": [{"record": {}, "label": "One year"}], "reason": "x"}'


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """Port of another server of this machine, with a page."""
    with evil_site() as port:
        yield port


@pytest.fixture(scope="module", params=["without keys", "with keys"])
def closed(
    request: pytest.FixtureRequest,
    browser: Browser,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
    module_database_url: str,
) -> Iterator[Server]:
    """A service as it is started; its client shows a key where one is asked for."""
    home = tmp_path_factory.mktemp("closed") / "home"
    put_in_cache(home, PLANS, 1, serving=1)
    token = add_key(home / "keys.yaml", "all", SCOPES) if request.param == "with keys" else None
    with Server(
        home,
        module_database_url,
        RATCHET_USE_CASES="plans",
        RATCHET_ACCESS_LOG="1",
        RATCHET_LOG_FORMAT="json",
    ) as running:
        if token is not None:
            running.client.headers["x-api-key"] = token
        yield running


@pytest.mark.parametrize(
    "host", [NAME, *(pytest.param(name, marks=pytest.mark.slow) for name in ("localhost", "127.0.0.1"))]
)
def test_a_page_of_another_origin_changes_and_reads_nothing(
    browser: Browser, elsewhere: int, closed: Server, stored: psycopg.Connection[Any], host: str
) -> None:
    before = counts(stored)
    page = browser.new_page()
    page.goto(f"http://{host}:{elsewhere}/")
    asked = operations(closed)
    time.sleep(0.3)  # an answer is logged after it was sent
    mark = len(statuses(closed))
    for method, path in asked:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
            for mode in ("cors", "no-cors"):
                if mode == "no-cors" and method not in ("GET", "HEAD", "POST"):
                    continue
                told = page.evaluate(ATTEMPT, [closed.url + path, method, BODY, kind, mode])
                assert told[0] in ("failed", "opaque"), (method, path, told)
                assert told[1:] == [0, ""], (method, path, told)
    for tag, name in (("script", "src"), ("img", "src"), ("link", "href")):
        for path in ("/ui/app.js", "/ui/icon.svg", "/ui/style.css", "/health", "/v1/plans/ledger", "/"):
            assert page.evaluate(EMBED, [closed.url + path, tag, name]) == "failed", (tag, path)
    reached = statuses(closed)[mark:]
    assert len(reached) > 3 * len(asked)  # it is the service that refuses, not the browser alone
    assert set(reached) == {403}
    assert counts(stored) == before
    page.close()


def test_a_form_of_another_origin_changes_nothing(
    browser: Browser, elsewhere: int, closed: Server, stored: psycopg.Connection[Any]
) -> None:
    before = counts(stored)
    for path in ("/v1/plans/retrain", "/v1/plans/rollback", "/v1/plans/retrain/stop", "/v1/plans/train"):
        page = browser.new_page()
        page.goto(f"http://{NAME}:{elsewhere}/")
        with page.expect_navigation() as navigation:
            page.evaluate(
                """(url) => { const form = document.createElement("form"); form.method = "post";
                form.action = url; document.body.append(form); form.submit(); }""",
                closed.url + path,
            )
        assert navigation.value is not None
        assert navigation.value.status == 403
        page.close()
    assert counts(stored) == before


def test_a_page_of_another_origin_frames_nothing(browser: Browser, elsewhere: int, closed: Server) -> None:
    page = browser.new_page()
    page.goto(f"http://{NAME}:{elsewhere}/")
    for path in ("/ui", "/", "/ui/report.html"):
        with page.expect_response(lambda answer: answer.url.startswith(closed.url)) as framed:
            page.evaluate(EMBED, [closed.url + path, "iframe", "src"])
        assert framed.value.status == 403
    page.close()


def test_a_rebound_name_changes_and_reads_nothing(
    browser: Browser, closed: Server, stored: psycopg.Connection[Any]
) -> None:
    before = counts(stored)
    page = browser.new_page()
    page.goto(f"http://{NAME}:{closed.port}/ui")
    for method, path in operations(closed):
        told = page.evaluate(ATTEMPT, [path, method, BODY, "application/json", "same-origin"])
        assert told[1] == 403, (method, path, told)
        assert method == "HEAD" or "wrong_host" in told[2]
        assert "plans" not in told[2]
    assert counts(stored) == before
    page.close()


def test_its_own_page_and_a_link_to_it_work(browser: Browser, elsewhere: int, closed: Server) -> None:
    page = browser.new_page()
    page.goto(f"http://{NAME}:{elsewhere}/")
    with page.expect_navigation() as navigation:
        page.evaluate("(url) => { location.href = url; }", f"{closed.url}/ui")
    assert navigation.value is not None
    assert navigation.value.status == 200
    told = page.evaluate(ATTEMPT, ["/health", "GET", "", "", "same-origin"])
    assert told[1] == 200
    page.goto(f"http://localhost:{closed.port}/ui")
    told = page.evaluate(ATTEMPT, ["/v1/plans/retrain/stop", "POST", "{}", "application/json", "cors"])
    assert told[1] in (401, 409)
    page.close()


def statuses(server: Server) -> list[int]:
    """Of every answer so far, as the server's log has them."""
    lines = server.log.read_text().splitlines()
    found = (json.loads(line) for line in lines if line.startswith("{") and '"request_id"' in line)
    return [line["status"] for line in found if "status" in line]
