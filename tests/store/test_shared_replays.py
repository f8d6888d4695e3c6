"""Replays of two homes on one storage: each sees what the other published, also while that is away."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from store.errors import StorageUnavailable
from store.objects.opening import open_storage
from store.replays import list_replays, replay_folder, write_document
from store.shared_replays import AGAIN_SECONDS, PATIENCE_SECONDS, PICTURE, ReplayCopies, publish_replay
from tests.ports import closed_port
from tests.store.test_replays import ONE, TWO, document


def settings_of(home: Path, url: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(home), "RATCHET_STORAGE": url})


def make_replay(settings: Settings, name: str, **changes: object) -> Path:
    folder = replay_folder(settings.home, "plans") / name
    write_document(folder, document(use_case="plans", **changes))
    (folder / PICTURE).write_bytes(b"picture")
    return folder


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("bucket")) + "/ratchet"
    (tmp_path / "shared").mkdir()
    return f"file://{tmp_path}/shared"


def test_another_home_shows_what_was_published(url: str, tmp_path: Path) -> None:
    here, there = settings_of(tmp_path / "here", url), settings_of(tmp_path / "there", url)
    clock = Clock()
    copies = ReplayCopies(there, clock)
    copies.refresh("plans")
    assert list_replays(there.home, "plans", 10).ended == ()
    publish_replay(open_storage(here), "plans", make_replay(here, ONE))
    copies.refresh("plans")
    assert list_replays(there.home, "plans", 10).ended == (), "asked a moment ago"
    clock.now += AGAIN_SECONDS + 1
    copies.refresh("plans")
    shown, own = list_replays(there.home, "plans", 10), list_replays(here.home, "plans", 10)
    assert [one.document for one in shown.ended] == [one.document for one in own.ended]
    assert [one.id for one in shown.ended] == [ONE]
    time.sleep(1.1)  # servers of S3 tell whole seconds
    publish_replay(open_storage(here), "plans", make_replay(here, ONE, source="other.csv"))
    publish_replay(open_storage(here), "plans", make_replay(here, TWO))
    clock.now += AGAIN_SECONDS + 1
    copies.refresh("plans")
    shown = list_replays(there.home, "plans", 10)
    assert {one.id: one.document.source for one in shown.ended} == {ONE: "other.csv", TWO: "tides.csv"}


def test_what_is_there_is_not_fetched_again(url: str, tmp_path: Path) -> None:
    here, there = settings_of(tmp_path / "here", url), settings_of(tmp_path / "there", url)
    publish_replay(open_storage(here), "plans", make_replay(here, ONE))
    ReplayCopies(there).refresh("plans")
    file = replay_folder(there.home, "plans") / ONE / "replay.json"
    first = file.stat().st_ino
    ReplayCopies(there).refresh("plans")
    assert file.stat().st_ino == first


def test_what_is_no_replay_is_left_there(url: str, tmp_path: Path) -> None:
    there = settings_of(tmp_path / "there", url)
    storage = open_storage(there)
    for key in (
        f"replay/plans/{ONE}/other.json",
        "replay/plans/x/replay.json",
        f"replay/other/{ONE}/replay.json",
    ):
        storage.put(key, b"{}")
    ReplayCopies(there).refresh("plans")
    assert not there.home.exists()


def test_a_home_without_storage_publishes_nothing(tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home")})
    folder = make_replay(settings, ONE)
    before = sorted(path for path in settings.home.rglob("*"))
    publish_replay(open_storage(settings), "plans", folder)
    ReplayCopies(settings).refresh("plans")
    assert sorted(path for path in settings.home.rglob("*")) == before


def test_with_the_storage_away_the_home_shows_what_it_has(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = settings_of(tmp_path / "here", bucket)
    folder = make_replay(here, ONE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(StorageUnavailable, match="AWS_ENDPOINT_URL"):
        publish_replay(open_storage(here), "plans", folder)
    clock = Clock()
    copies = ReplayCopies(here, clock)
    for _ in range(2):
        copies.refresh("plans")
    assert [one.id for one in list_replays(here.home, "plans", 10).ended] == [ONE]
    assert len([one for one in caplog.records if "not shown for now" in one.message]) == 1
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in caplog.text
    clock.now += PATIENCE_SECONDS + 1
    copies.refresh("plans")
    assert len([one for one in caplog.records if "not shown for now" in one.message]) == 2
