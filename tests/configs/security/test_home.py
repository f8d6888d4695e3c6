"""A home of an earlier release becomes its owner's alone; nothing outside of it is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from configs.security import home as homes
from configs.security.home import HOME_ENTRIES, allow_traversal, make_home_private, readable_by_others


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """As earlier releases made them, with the usual umask."""
    before = os.umask(0o022)
    home = tmp_path / "home"
    for name in ("snapshots/plans/a.parquet", "mlflow/1/model.onnx", "logs/service.log", "stack.json",
                 "keys.yaml", "postgres/log", "postgres/data/PG_VERSION", "mine/notes.txt"):  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    (home / "snapshots/plans/a.parquet").chmod(0o444)
    (home / "mlflow/run.sh").write_text("x")
    (home / "mlflow/run.sh").chmod(0o755)
    os.umask(before)
    return home


def test_nobody_else_may_read_what_is_ours(home: Path) -> None:
    assert readable_by_others(home)
    make_home_private(home)
    assert not readable_by_others(home)
    files = [path for path in home.rglob("*") if path.is_file()]
    modes = {str(path.relative_to(home)): oct(mode(path)) for path in files}
    assert mode(home) == 0o700
    assert modes == {
        "keys.yaml": "0o600", "logs/service.log": "0o600", "mlflow/1/model.onnx": "0o600",
        "mlflow/run.sh": "0o700", "postgres/log": "0o600", "snapshots/plans/a.parquet": "0o400",
        "stack.json": "0o600",
        # PostgreSQL has rules of its own, and what is somebody else's idea is behind a closed door.
        "postgres/data/PG_VERSION": "0o644", "mine/notes.txt": "0o644",
    }  # fmt: skip
    assert {mode(home / name) for name in ("snapshots", "snapshots/plans", "mlflow/1", "logs")} == {0o700}


def test_links_lead_nowhere(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    (outside / "file").write_text("x")
    (outside / "file").chmod(0o644)
    (home / "cache").symlink_to(outside)
    (home / "logs" / "link").symlink_to(outside / "file")
    (home / "logs" / "folder").symlink_to(outside)
    make_home_private(home)
    assert (mode(outside), mode(outside / "file")) == (0o755, 0o644)


def test_a_home_that_is_closed_is_not_walked_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home_private(home)
    monkeypatch.setattr(homes, "_below", lambda _folder: pytest.fail("walked"))
    make_home_private(home)


def test_a_walk_that_was_cut_off_is_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(homes, "make_private", lambda path: 1 / 0 if path.name == "mlflow" else None)
        with pytest.raises(ZeroDivisionError):
            make_home_private(home)
    assert readable_by_others(home)
    make_home_private(home)
    assert mode(home / "stack.json") == 0o600


def test_files_that_vanish_are_no_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "_below", lambda _folder: iter([home / "logs" / "gone"]))
    make_home_private(home)
    assert mode(home) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the database as somebody else")
def test_the_user_of_the_database_may_pass_and_nobody_may_look(home: Path) -> None:
    os.chown(home / "postgres", 65534, 65534)
    make_home_private(home)
    assert (mode(home), readable_by_others(home)) == (0o701, False)
    home.chmod(0o700)
    allow_traversal(home)
    assert (mode(home), readable_by_others(home)) == (0o701, False)
    os.chown(home / "postgres", 0, 0)
    assert readable_by_others(home), "nobody needs to pass now"


def test_all_that_is_ours_is_named_once() -> None:
    assert list(HOME_ENTRIES) == sorted(set(HOME_ENTRIES))
