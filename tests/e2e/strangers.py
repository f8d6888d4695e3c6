"""What a web page of somebody else tries on the servers of its visitor: calls, and ways to send them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import psutil
from playwright.sync_api import Page

from configs.settings import Settings
from flows.servers.environment import MARK_SERVER
from flows.stack.processes import environment_of, marked_processes
from store.database.processes import processes_in

EVIL, REBOUND = "evil.example", "rebound.example"
"""Names that the tests' browser finds on this machine, as a name server of theirs would have it."""


class Call(NamedTuple):
    """One request; a page may send it in several ways."""

    method: str
    path: str
    body: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What a page saw of one request that it sent."""

    way: str
    path: str
    status: int
    """0: nothing, or an answer that it may not look into."""
    text: str


class Listening(NamedTuple):
    """Where a process of the stack can be reached."""

    server: str
    """Which server of the stack it belongs to."""
    address: str
    port: int


def listening(settings: Settings) -> list[Listening]:
    """Every port that a process of the stack listens on, as the system says."""
    ours = {process.pid: environment_of(process)[MARK_SERVER] for process in marked_processes(settings.home)}
    ours |= dict.fromkeys(processes_in(settings.home / "postgres" / "data"), "postgres")
    return [
        Listening(ours[one.pid], one.laddr.ip, one.laddr.port)
        for one in psutil.net_connections(kind="tcp")
        if one.status == psutil.CONN_LISTEN and one.pid in ours
    ]


def calls_on(use_case: str, deployment: str, command: str) -> list[Call]:
    """What changes or tells something, on any of the servers.

    Args:
        deployment: id of a deployment of Prefect's.
        command: what its run is to be replaced by.
    """
    retrain = json.dumps({"job_variables": {"command": command}})
    wide = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}
    record = {"weight": 0.5, "colour": "red"}
    return [
        Call("POST", "/api/deployments/filter", "{}"),
        Call("POST", f"/api/deployments/{deployment}/create_flow_run", retrain),
        Call("POST", f"/api/deployments/{deployment}/create_flow_run", "{}"),
        Call("POST", "/api/flow_runs/filter", "{}"),
        Call("PATCH", "/api/work_pools/ratchet", json.dumps({"base_job_template": wide})),
        Call("DELETE", f"/api/deployments/{deployment}"),
        Call("GET", "/api/admin/settings"),
        Call("GET", "/api/health"),
        Call("GET", "/ui-settings"),
        Call("POST", "/api/2.0/mlflow/experiments/create", json.dumps({"name": "evil"})),
        Call("POST", "/ajax-api/2.0/mlflow/experiments/create", json.dumps({"name": "evil"})),
        Call("POST", "/graphql", json.dumps({"query": "{ __typename }"})),
        Call("DELETE", "/api/2.0/mlflow/registered-models/delete", json.dumps({"name": use_case})),
        Call(
            "DELETE",
            "/api/2.0/mlflow/registered-models/alias",
            json.dumps({"name": use_case, "alias": "production"}),
        ),
        Call("GET", "/api/2.0/mlflow/registered-models/search"),
        Call("GET", "/health"),
        Call("GET", "/metrics"),
        Call("GET", f"/v1/{use_case}/ledger"),
        Call("GET", f"/v1/{use_case}/model"),
        Call("GET", f"/v1/{use_case}/retrain/progress"),
        Call(
            "POST",
            f"/v1/{use_case}/feedback",
            json.dumps({"items": [{"record": record, "label": "poor"}]}),
        ),
        Call("POST", f"/v1/{use_case}/predict", json.dumps({"records": [record], "labels": ["poor"]})),
        Call("POST", f"/v1/{use_case}/predictions", json.dumps({"records": [record]})),
        Call("POST", f"/v1/{use_case}/retrain"),
        Call("POST", f"/v1/{use_case}/retrain/stop"),
        Call("POST", f"/v1/{use_case}/rollback"),
        Call("POST", f"/v1/{use_case}/rollback", json.dumps({"to": 1})),
        Call("POST", "/predict", json.dumps({"items": [{"use_case": use_case, "record": record}]})),
        Call("POST", f"/v2/models/{use_case}/infer", "{}"),
        Call("GET", "/docs.json"),
    ]


SOCKETS = ("/api/events/in", "/api/events/out", "/api/logs/out", "/api/events/filter")
_SEND = """
async ([base, calls, sockets]) => {
  const seen = [];
  const limit = () => AbortSignal.timeout(4000);
  const note = async (way, path, send) => {
    try {
      const answer = await send();
      const text = answer.type === "opaque" ? "" : await answer.text();
      seen.push([way, path, answer.status, text.slice(0, 2000)]);
    } catch (error) {
      seen.push([way, path, 0, ""]);
    }
  };
  const all = [];
  for (const [method, path, body] of calls) {
    const url = base + path;
    const json = body === null ? {} : { headers: { "content-type": "application/json" }, body };
    const plain = body === null ? {} : { body };
    all.push(() => note("json", path, () => fetch(url, { method, signal: limit(), ...json })));
    all.push(() => note("plain", path, () => fetch(url, { method, signal: limit(), ...plain })));
    if (method === "POST" || method === "GET") {
      all.push(() => note("no-cors", path, () =>
        fetch(url, { method, mode: "no-cors", signal: limit(), credentials: "include", ...plain })));
    }
    if (method === "POST") {
      all.push(() => note("beacon", path, async () => {
        navigator.sendBeacon(url, body ?? "");
        return new Response("");
      }));
      all.push(() => note("form", path, async () => {
        const frame = document.createElement("iframe");
        frame.name = `frame-${Math.random()}`;
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: url, enctype: "text/plain", target: frame.name });
        const field = document.createElement("input");
        const [head, ...tail] = (body ?? "").split("=");
        Object.assign(field, { name: head, value: tail.join("=") });
        form.append(field);
        document.body.append(frame, form);
        form.submit();
        await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 300); });
        let text = "";
        try { text = frame.contentDocument?.body?.innerText ?? ""; } catch (error) { text = ""; }
        frame.remove();
        return new Response(text);
      }));
    } else {
      all.push(() => note("script", path, () => new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.onload = () => resolve(new Response("loaded"));
        script.onerror = reject;
        script.src = url;
        document.body.append(script);
        setTimeout(reject, 3000);
      })));
    }
  }
  for (const path of sockets) {
    all.push(() => note("socket", path, () => new Promise((resolve, reject) => {
      const socket = new WebSocket(base.replace("http", "ws") + path, ["prefect"]);
      socket.onopen = () => { socket.send('{"type":"auth","token":null}'); resolve(new Response("opened")); };
      socket.onerror = reject;
      setTimeout(reject, 3000);
    })));
  }
  while (all.length) await Promise.all(all.splice(0, 12).map((send) => send()));
  return seen;
}
"""


def send_all(page: Page, base: str, calls: Sequence[Call]) -> list[Attempt]:
    """Send every call in every way that a page knows, and return what it saw."""
    seen: list[list[Any]] = page.evaluate(_SEND, [base, [list(call) for call in calls], list(SOCKETS)])
    return [Attempt(*one) for one in seen]


@contextmanager
def evil_site() -> Iterator[int]:
    """A web server with an empty page; gives its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>evil</title><body></body>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
