"""People are told what happened: once, by a real HTTP receiver, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.schema import NotifyConfig
from configs.settings import Settings, read_settings
from flows.scheduling import notify
from flows.scheduling.notify import (
    NotSent,
    compose_message,
    expand,
    notify_forever,
    send_due_notices,
    start_notices,
)
from models.production import ledger
from store import notices
from store.drift.checks import record_check
from store.notices import NoticeEvent
from store.predictions.shadow_answers import State, ask_again, write_standing
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.supervision import ServerEvent, Supervision, write_supervision

NAME = "apples"
APPLES = {
    "name": NAME,
    "title": "Apples",
    "kind": "tabular",
    "record": {"fields": [{"name": "weight", "type": "number"}]},
    "target": {"task": "multiclass"},
    "model": {"estimator": "logistic"},
}


class Receiver(HTTPServer):
    """Takes what Apprise sends as JSON, or refuses it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.got: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Its address, as Apprise writes it."""
        return f"json://127.0.0.1:{self.server_port}/told"

    def titles(self) -> list[str]:
        return [one["title"] for one in self.got]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.status == 200:
            self.server.got.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver that takes what comes."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as server:
        yield server


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})


def promoted(conn: psycopg.Connection, version: int = 2) -> None:
    ledger.record(
        conn, NAME, "promoted", actor="labels", reason="0.95 against 0.90", from_version=1, to_version=version
    )


def test_what_happens_is_told_once_and_in_order(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    promoted(conn, 1)  # before anybody was to be told
    start_notices(settings, wanted)
    promoted(conn)
    ledger.record(conn, NAME, "rolled_back", actor="ann", reason="wrong prices", from_version=2, to_version=1)
    ledger.record(conn, NAME, "too_little_evidence", actor="schedule", reason="12 rows", to_version=3)
    ledger.record(conn, NAME, "intent", actor="x", reason="")
    assert send_due_notices(settings, wanted) == 3
    assert receiver.titles() == [
        "apples: version 2 is production",
        "apples: went back to version 1",
        "apples: version 3 was not promoted: too little evidence",
    ]
    assert [one["type"] for one in receiver.got] == ["success", "warning", "info"]
    assert "0.95 against 0.90\nbefore: version 1\nby: labels\nat: 20" in receiver.got[0]["message"]
    start_notices(settings, wanted)  # as after a restart
    assert send_due_notices(settings, wanted) == 0
    assert len(receiver.got) == 3


def test_only_what_is_wanted_is_told(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,), events=("failed",))}
    start_notices(settings, wanted)
    promoted(conn)
    ledger.record(conn, "pears", "refused", actor="service", reason="no", to_version=2)
    fail(conn)
    ledger.record(conn, NAME, "refused", actor="service", reason="its probe disagrees", to_version=2)
    assert send_due_notices(settings, wanted) == 2
    assert receiver.titles() == ["apples: a retrain failed", "apples: version 2 is refused"]
    assert "TrainingError: no\nby: schedule" in receiver.got[0]["message"]


def fail(conn: psycopg.Connection) -> None:
    run_id = request_run(conn, NAME, "retrain", "schedule")
    lifecycle.finish_run(conn, run_id, lifecycle.start_run(conn, run_id), "failed", error="TrainingError: no")


def test_drift_that_goes_on_is_told_when_it_begins(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    start_notices(settings, wanted)
    told = []
    for verdict in ("no_drift", "drift", "too_little_evidence", "drift", "no_drift", "drift"):
        record_check(conn, NAME, verdict=verdict, share=0.5, report={"reason": "moved"}, model_version=1)
        told.append(send_due_notices(settings, wanted))
    assert told == [0, 1, 0, 0, 0, 1]
    assert receiver.titles() == ["apples: drift"] * 2


def test_a_shadow_version_that_is_given_up_is_told_once(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    start_notices(settings, wanted)

    def told(version: int | None, state: State, why: str | None = None, *, name: str = NAME) -> int:
        write_standing(conn, name, "challenger", version, state, why)
        conn.commit()
        return send_due_notices(settings, wanted)

    assert told(4, "answers") == told(4, "starting") == told(None, "missing") == 0
    assert told(4, "hangs", "30 seconds without an answer") == 1
    assert told(7, "broken", "of another use case", name="pears") == 0
    assert ask_again(conn, NAME)
    conn.commit()
    assert told(4, "starting") == told(4, "ends", "3 times") == 0, "of the same version"
    assert told(5, "ends", "3 times; the last time killed by signal 9") == 1
    assert told(6, "broken", "no such file") == 1
    assert receiver.titles() == [
        f"apples: version {version} is not asked any more beside production" for version in (4, 5, 6)
    ]
    assert {one["type"] for one in receiver.got} == {"warning"}
    first = [one["message"].splitlines()[0] for one in receiver.got]
    assert first == [
        "it hangs: 30 seconds without an answer",
        "it ended its process: 3 times; the last time killed by signal 9",
        "it cannot answer: no such file",
    ]


def test_who_does_not_answer_is_asked_again_and_given_up_at_last(
    settings: Settings,
    conn: psycopg.Connection,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notices, "MOST_ATTEMPTS", 2)
    monkeypatch.setattr(notify.log, "propagate", True)
    logging.getLogger("prefect").propagate = True
    other = NotifyConfig(urls=(receiver.url, receiver.url.replace("told", "secret")))
    start_notices(settings, {NAME: other})
    promoted(conn)
    receiver.status = 500
    assert send_due_notices(settings, {NAME: other}) == 0
    assert send_due_notices(settings, {NAME: other}) == 0, "not at once"
    (attempts,) = {row[0] for row in conn.execute("SELECT attempts FROM notice")}
    assert attempts == 1
    receiver.status = 200
    conn.execute("UPDATE notice SET due_at = now() WHERE id = (SELECT min(id) FROM notice)")
    assert send_due_notices(settings, {NAME: other}) == 1
    receiver.status = 500
    conn.execute("UPDATE notice SET due_at = now()")
    assert send_due_notices(settings, {NAME: other}) == 0
    states = conn.execute("SELECT state FROM notice ORDER BY id").fetchall()
    assert [row[0] for row in states] == ["sent", "given_up"]
    assert "secret" not in caplog.text


def test_notices_are_sent_though_the_clock_was_set_back(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    start_notices(settings, wanted)
    conn.execute("UPDATE notice_start SET at = at + interval '2 hours'")
    promoted(conn)
    receiver.status = 500
    assert send_due_notices(settings, wanted) == 0
    conn.execute("UPDATE notice SET due_at = due_at + interval '2 hours'")
    receiver.status = 200
    assert send_due_notices(settings, wanted) == 1


def test_a_sender_that_is_killed_sends_again_and_two_do_not_send_twice(
    settings: Settings, conn: psycopg.Connection
) -> None:
    wanted = {NAME: NotifyConfig(urls=("json://nowhere",))}
    start_notices(settings, wanted)
    promoted(conn)
    sent: list[str] = []

    def killed(_url: str, _notice: notices.Notice) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_due_notices(settings, wanted, killed)

    def slow(_url: str, notice: notices.Notice) -> None:
        assert send_due_notices(settings, wanted, lambda *_: sent.append("twice")) == 0
        sent.append(notice.title)

    assert send_due_notices(settings, wanted, slow) == 1
    assert sent == ["apples: version 2 is production"]


def test_notices_of_an_address_that_was_taken_away_are_not_sent(
    settings: Settings, conn: psycopg.Connection
) -> None:
    sent: list[str] = []

    def fails(_url: str, _notice: notices.Notice) -> None:
        raise NotSent("away")

    def keeps(url: str, _notice: notices.Notice) -> None:
        sent.append(url)

    before = {NAME: NotifyConfig(urls=("json://old",))}
    start_notices(settings, before)
    promoted(conn)
    assert send_due_notices(settings, before, fails) == 0
    conn.execute("UPDATE notice SET due_at = now()")
    after = {NAME: NotifyConfig(urls=("json://new",))}
    assert send_due_notices(settings, after, keeps) == 1
    assert sent == ["json://new"]
    start_notices(settings, {}, silent=[NAME])
    start_notices(settings, after)
    promoted(conn, 3)
    assert send_due_notices(settings, after, keeps) == 1


def test_a_worker_of_other_use_cases_leaves_the_notices_of_this_one(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    start_notices(settings, wanted)
    start_notices(settings, {"plums": wanted[NAME]})
    pears = parse_use_case({**APPLES, "name": "pears"}, source=Path("pears.yaml"))
    asyncio.run(notify_forever(settings, {"pears": pears}))
    promoted(conn)
    assert send_due_notices(settings, wanted) == 1


def test_what_happened_while_none_were_wanted_is_not_told(
    settings: Settings, conn: psycopg.Connection, receiver: Receiver
) -> None:
    silent = parse_use_case(APPLES, source=Path(f"{NAME}.yaml"))
    wanted = {NAME: NotifyConfig(urls=(receiver.url,))}
    start_notices(settings, wanted)
    asyncio.run(notify_forever(settings, {NAME: silent}))
    promoted(conn)
    start_notices(settings, wanted)
    assert send_due_notices(settings, wanted) == 0


def test_secrets_stay_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLES_TOKEN", "s3cret")
    monkeypatch.delenv("APPLES_HOST", raising=False)
    assert expand("slack://${APPLES_TOKEN}/#mlops") == "slack://s3cret/#mlops"
    with pytest.raises(NotSent, match="APPLES_HOST"):
        expand("json://${APPLES_TOKEN}@${APPLES_HOST}/")


def test_an_address_that_apprise_does_not_know() -> None:
    notice = notices.Notice(1, NAME, "failed", "", "title", "body", datetime.now(UTC), 0)
    with pytest.raises(NotSent, match="nonsense://"):
        notify.send_with_apprise("nonsense://token", notice)


def test_values_are_text_for_services_that_read_html(receiver: Receiver) -> None:
    reason = "<img src=x>\nby: me"
    _, body = compose_message(
        NAME, NoticeEvent("l:1", "failed", "failed", datetime.now(UTC), "", None, 3, reason)
    )
    assert body.splitlines()[0] == "<img src=x>\\nby: me"
    notice = notices.Notice(1, NAME, "failed", "", "title", body, datetime.now(UTC), 0)
    notify.send_with_apprise(f"{receiver.url}?format=html", notice)
    notify.send_with_apprise(receiver.url, notice)
    as_html, as_text = (one["message"] for one in receiver.got)
    assert as_html.startswith("&lt;img&nbsp;src=x&gt;")
    assert as_text == body


def test_a_test_message_says_who_took_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    urls = {"urls": [receiver.url, "json://${NOWHERE}/"]}
    raw = {**APPLES, "notify": urls}
    fine, missing = notify.send_test(parse_use_case(raw, source=Path(f"{NAME}.yaml")))
    assert fine is None
    assert missing is not None and "NOWHERE" in missing
    assert receiver.titles() == ["apples: a test"]
    assert notify.send_test(parse_use_case(APPLES, source=Path(f"{NAME}.yaml"))) == []


def test_each_event_and_kind_has_its_words() -> None:
    for kind in notify._TITLES:
        happening = NoticeEvent("ledger:1", "failed", kind, datetime.now(UTC), "", None, 3, "")
        title, body = compose_message(NAME, happening)
        assert title.startswith("apples: ")
        assert body.startswith("no reason was given\nat: ")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"urls": []}, "notify.urls"),
        ({"urls": ["nowhere"]}, "notify: url 0 is no address"),
        ({"urls": ["json://x"], "events": ["promotion"]}, "notify.events.0"),
        ({"urls": ["json://x"], "event": ["drift"]}, "notify.event: unknown key"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(given: Any, named: str, tmp_path: Path) -> None:
    raw = {**APPLES, "notify": given}
    with pytest.raises(ConfigError) as refused:
        parse_use_case(raw, source=tmp_path / f"{NAME}.yaml")
    assert named in str(refused.value)
    assert "nowhere" not in str(refused.value)


def test_a_server_that_keeps_failing_is_told_once_to_each_address(database_url: str, tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    config = NotifyConfig(urls=("json://somewhere/a",))
    configs = {"apples": config, "pears": config, "plums": config.model_copy(update={"events": ("drift",)})}
    start_notices(settings, configs)
    now = datetime.now(UTC).timestamp() + 1
    before = ServerEvent(now - 3600, "prefect", "down", "it ended")
    down = ServerEvent(now, "mlflow", "down", "it is down: no room")
    back = ServerEvent(now + 1, "mlflow", "back", "it serves again")
    sent: list[tuple[str, str]] = []
    for events in ((before, down), (before, down, back)):
        write_supervision(tmp_path, Supervision(7, 7.0, {}, events))
        send_due_notices(settings, configs, lambda _url, notice: sent.append((notice.title, notice.body)))
    host = socket.gethostname()
    assert [title for title, _ in sent] == [
        f"ratchet on {host}: server mlflow keeps failing",
        f"ratchet on {host}: server mlflow is back",
    ]
    assert sent[0][1].startswith("it is down: no room")
