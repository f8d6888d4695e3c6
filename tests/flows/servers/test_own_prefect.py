"""A Prefect of the user's own that cannot be used, and how the doctor and a second worker say so."""

from __future__ import annotations

import asyncio
import base64
import http.server
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from configs.settings import Settings, read_settings
from flows.cli import app
from flows.doctor import Finding, examine
from flows.scheduling.joining import NothingToJoin, ensure_pool_here
from flows.stack.errors import NotPrefect
from flows.stack.starting import bring_up
from flows.status.servers import read_servers
from tests.http_servers import serving
from tests.ports import closed_port

PASSWORD = "me:s3cret"


class Prefect(http.server.BaseHTTPRequestHandler):
    """As its server answers: health to all, the rest of `/api` to who has the password."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        basic = "Basic " + base64.b64encode(PASSWORD.encode()).decode()
        if self.path == "/api/health":
            self._answer(200, "application/json", b"true")
        elif not self.path.startswith("/api/"):
            self._answer(404, "application/json", b'{"detail":"Not Found"}')
        elif self.headers.get("authorization") != basic:
            self._answer(401, "application/json", b'{"exception_message":"Unauthorized"}')
        elif self.path == "/api/work_pools/filter":
            self._answer(200, "application/json", b"[]")
        else:
            self._answer(404, "application/json", b'{"detail":"Work pool \\"ratchet\\" not found."}')

    def do_POST(self) -> None:
        self.do_GET()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def of(tmp_path: Path, url: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path / "home"), "PREFECT_API_URL": url})


def doctor_says(settings: Settings) -> Finding:
    return next(one for one in examine(settings) if one.what == "your servers")


def worker_says(settings: Settings) -> str:
    with temporary_settings({PREFECT_API_URL: settings.prefect_url}), pytest.raises(NothingToJoin) as refused:
        asyncio.run(ensure_pool_here(settings))
    return str(refused.value)


def test_one_that_wants_a_password_is_told_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Prefect) as url:
        settings = of(tmp_path, f"{url}/api")
        finding = doctor_says(settings)
        assert not finding.ok
        assert finding.found.startswith(
            f"PREFECT_API_URL: {url}/api answers 401; set PREFECT_API_AUTH_STRING "
        )
        assert worker_says(settings) == finding.found
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORD)
        assert doctor_says(settings) == Finding("your servers", True, "none, or they answer", finding.advice)
        with temporary_settings({PREFECT_API_AUTH_STRING: PASSWORD}):
            assert worker_says(settings).startswith("Prefect has no work pool 'ratchet'; the first worker")


def test_one_that_is_not_there_is_told_alike(tmp_path: Path) -> None:
    settings = of(tmp_path, f"http://127.0.0.1:{closed_port()}/api")
    finding = doctor_says(settings)
    assert (finding.ok, finding.found) == (
        False,
        f"PREFECT_API_URL: nothing of Prefect answers at {settings.prefect_url}",
    )
    assert worker_says(settings).startswith(finding.found)


class Page(Prefect):
    """As its server answers where its page is: with that page, whatever is asked."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(200, "text/html", b"<!doctype html><title>Prefect</title>")


@pytest.mark.parametrize(
    ("handler", "came"), [(Prefect, "404 with application/json"), (Page, "200 with text/html")]
)
@pytest.mark.usefixtures("own_environment")
def test_an_address_that_leads_elsewhere_is_told_wherever_it_is_asked(
    handler: type[Prefect], came: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Prefect) as mlflow, serving(handler) as url:
        settings = of(tmp_path, url)
        said = (
            f"PREFECT_API_URL: what answers at {url} is not Prefect's API (it answered {came}); the address "
            f"of a Prefect server's API ends with /api: {url}/api"
        )
        finding = doctor_says(settings)
        assert (finding.ok, finding.found) == (False, said)
        assert worker_says(settings) == said
        with pytest.raises(NotPrefect) as refused:
            bring_up(settings, lambda _name, _state: None)
        assert str(refused.value) == said
        (prefect,) = [one for one in read_servers(settings) if one.name == "prefect"]
        assert (prefect.state, prefect.trouble) == ("down", said)
        monkeypatch.setenv("RATCHET_HOME", str(settings.home))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{mlflow}/api")
        monkeypatch.setenv("PREFECT_API_URL", url)
        result = CliRunner().invoke(app, ["retrain", "plans"])
        assert (result.exit_code, result.stderr.strip()) == (1, f"ratchet: {said}")


def test_a_path_is_not_guessed_at_and_a_slash_at_the_end_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORD)
    with serving(Prefect) as url:
        assert doctor_says(of(tmp_path, f"{url}/dashboard")).found.endswith("API ends with /api")
        assert doctor_says(of(tmp_path, f"{url}/api/")).ok


def test_a_proxy_before_it_is_told_what_prefect_s_clients_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Behind(Prefect):
        def do_GET(self) -> None:
            if self.headers.get("x-let-me") == "in":
                super().do_GET()
            else:
                self._answer(200, "text/html", b"sign in")

    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORD)
    with serving(Behind) as url:
        assert "200 with text/html" in doctor_says(of(tmp_path, f"{url}/api")).found
        monkeypatch.setenv("PREFECT_CLIENT_CUSTOM_HEADERS", '{"X-Let-Me": "in"}')
        assert doctor_says(of(tmp_path, f"{url}/api")).ok


def test_the_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    settings = of(tmp_path, f"http://me:s3cret@127.0.0.1:{closed_port()}/api")
    finding = doctor_says(settings)
    assert (finding.ok, "s3cret" in finding.found) == (False, False)
