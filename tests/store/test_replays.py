"""Replays that are kept: written whole, read with suspicion, and never from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from store.replays import (
    DamagedReplay,
    KeptReplay,
    UnendedReplay,
    attempting,
    find_replay,
    list_replays,
    replay_folder,
    write_document,
)

ONE, TWO = "0123456789abcdef", "fedcba9876543210"


def policy(*by_period: float, promoted_at: tuple[int, ...] = ()) -> dict[str, Any]:
    counts = {"worse": 0, "harmful": 0, "rollbacks": 0, "retrains": 2, "promotions": len(promoted_at)}
    accuracy = sum(by_period) / len(by_period)
    times = {"fit_seconds": 1.5, "seconds": 2.0}
    lists = {"by_period": list(by_period), "promoted_at": list(promoted_at), "harm": [], "notes": []}
    return {"accuracy": accuracy, **counts, **times, **lists}


def document(**changes: Any) -> dict[str, Any]:
    policies = {"default": policy(0.5, 0.75, promoted_at=(1,)), "never": policy(0.5, 0.5)}
    about = {"use_case": "tides", "at": "2026-11-01T00:00:00+00:00", "source": "tides.csv", "periods": 2}
    sizes = {"rows": 200, "first_rows": 100, "delay": 0, "starts": ["2026-01-01T00:00:00.000000", None]}
    return {**about, **sizes, "policies": policies, "left_out": {}, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return replay_folder(tmp_path, "tides") / ONE


def test_what_was_written_is_read(tmp_path: Path, folder: Path) -> None:
    write_document(folder, document())
    kept = find_replay(tmp_path, "tides", ONE)
    assert isinstance(kept, KeptReplay)
    assert (kept.id, kept.at) == (ONE, datetime(2026, 11, 1, tzinfo=UTC))
    assert kept.document.policies["default"].promoted_at == (1,)
    assert [one.name for one in folder.iterdir()] == ["replay.json"]


def test_a_writer_that_fails_leaves_the_earlier_one(folder: Path) -> None:
    write_document(folder, document())
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_document(folder, document(rows=float("nan")))
    assert json.loads((folder / "replay.json").read_text())["rows"] == 200


def test_the_newest_come_first_and_so_many_are_read(tmp_path: Path) -> None:
    for place, name in enumerate((ONE, TWO)):
        write_document(replay_folder(tmp_path, "tides") / name, document())
        os.utime(replay_folder(tmp_path, "tides") / name / "replay.json", (place, place))
    assert [one.id for one in list_replays(tmp_path, "tides", 20).ended] == [TWO, ONE]
    assert [one.id for one in list_replays(tmp_path, "tides", 1).ended] == [TWO]
    assert list_replays(tmp_path, "mails", 20).ended == ()


def test_one_of_earlier_releases_has_the_time_of_its_file(tmp_path: Path, folder: Path) -> None:
    old = document(starts=["NaT", "NaT"])
    del old["at"]
    write_document(folder, old)
    os.utime(folder / "replay.json", (3600, 3600))
    kept = find_replay(tmp_path, "tides", ONE)
    assert isinstance(kept, KeptReplay)
    assert kept.at == datetime(1970, 1, 1, 1, tzinfo=UTC)


def test_one_that_has_not_ended_tells_how_far_it_is(tmp_path: Path, folder: Path) -> None:
    (folder / "fits").mkdir(parents=True)
    for name in ("a.npz", "b.npz", ".c.17.npz"):
        (folder / "fits" / name).touch()
    os.utime(folder / "fits", (60, 60))
    (unended,) = list_replays(tmp_path, "tides", 20).unended
    assert unended == UnendedReplay(ONE, 2, datetime(1970, 1, 1, 0, 1, tzinfo=UTC))


def test_one_that_failed_is_no_stopped_one_until_it_is_tried_again(tmp_path: Path, folder: Path) -> None:
    command = "ratchet replay tides --data '/a b/tides.csv'"
    with pytest.raises(ValueError, match="diverged"), attempting(folder, command):
        raise ValueError("the fit diverged")
    kept = list_replays(tmp_path, "tides", 20)
    (failed,) = kept.failed
    assert (kept.unended, failed.id, failed.error, failed.command) == ((), ONE, "the fit diverged", command)
    assert find_replay(tmp_path, "tides", ONE) == failed
    with pytest.raises(KeyboardInterrupt), attempting(folder, command):
        assert list_replays(tmp_path, "tides", 20).failed == ()
        raise KeyboardInterrupt
    (stopped,) = list_replays(tmp_path, "tides", 20).unended
    assert (stopped.id, stopped.command) == (ONE, command)
    write_document(folder, document())
    kept = list_replays(tmp_path, "tides", 20)
    assert ([one.id for one in kept.ended], kept.unended, kept.failed) == ([ONE], (), ())
    assert [one.name for one in folder.iterdir()] == ["replay.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"at": "soon"}', '{"command": 1, "error": "x"}'])
def test_an_attempt_that_cannot_be_read_says_nothing(tmp_path: Path, folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "attempt.json").write_text(content)
    (unended,) = list_replays(tmp_path, "tides", 20).unended
    assert unended.command is None


def damage(content: str | bytes) -> Callable[[Path], object]:
    as_bytes = content if isinstance(content, bytes) else content.encode()
    return lambda path: path.write_bytes(as_bytes)


WHOLE = json.dumps(document())


@pytest.mark.parametrize(
    ("damaging", "problem"),
    [
        (damage(WHOLE[: len(WHOLE) // 2]), "Invalid JSON: EOF"),
        (damage(""), "Invalid JSON: EOF"),
        (damage(b"\xff\xfe\x00"), "Invalid JSON"),
        (damage("[]"), "should be an object"),
        (damage(json.dumps(document(policies={}))), "policies: "),
        (
            damage(json.dumps(document(policies={"mine": policy(0.5, 0.5)}))),
            "policies has no default, but mine",
        ),
        (damage(json.dumps(document(periods=3))), "starts has 2 periods of 3"),
        (damage(WHOLE.replace("[0.5, 0.75]", "[0.5]")), "policies.default.by_period has 1 of 2"),
        (damage(WHOLE.replace("0.625", "NaN")), "policies.default.accuracy: "),
        (damage(WHOLE.replace("0.625", "62.5")), "policies.default.accuracy: "),
        (damage(WHOLE.replace('"promoted_at": [1]', '"promoted_at": [2]')), "names a period beyond 1"),
        (damage(json.dumps(document(use_case="mails"))), "is of use case 'mails'"),
        (damage(" " * (16 * 2**20) + WHOLE), "has more than 16 MiB"),
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "is no file"),
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic links"),
    ],
    ids=range(16),
)
def test_what_is_no_replay_is_told_and_hides_no_other(
    tmp_path: Path, folder: Path, damaging: Callable[[Path], object], problem: str
) -> None:
    write_document(replay_folder(tmp_path, "tides") / TWO, document())
    folder.mkdir()
    damaging(folder / "replay.json")
    listed = list_replays(tmp_path, "tides", 20)
    assert [one.id for one in listed.ended] == [TWO]
    (damaged,) = listed.damaged
    assert damaged.id == ONE
    assert damaged.problem.startswith("replay.json: ")
    assert problem in damaged.problem
    assert isinstance(find_replay(tmp_path, "tides", ONE), DamagedReplay)


def elsewhere(tmp_path: Path) -> Path:
    outside = replay_folder(tmp_path / "elsewhere", "tides") / ONE
    write_document(outside, document())
    return outside


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside, home = elsewhere(tmp_path), tmp_path / "home"
    inside = replay_folder(home, "tides")
    for depth, place in enumerate((inside / ONE, inside, inside.parent)):
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rmdir()
        target = (outside, outside.parent, outside.parent.parent)[depth]
        place.symlink_to(target)
        assert (inside / ONE / "replay.json").exists()
        assert list_replays(home, "tides", 20).ended == ()
        assert find_replay(home, "tides", ONE) is None
        place.unlink()


@pytest.mark.parametrize(
    "name", ["..", ".", "", f"../tides/{ONE}", f"{ONE}/", "x" * 16, ONE.upper(), f"{ONE}\n"]
)
def test_a_name_that_is_none_finds_nothing(tmp_path: Path, folder: Path, name: str) -> None:
    write_document(folder, document())
    assert find_replay(tmp_path, "tides", name) is None
