"""A snapshot that goes on from the one before is that which going through all rows gives."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from configs.schema import RecordConfig, UseCase
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.history import table as tables
from store.history.forgetting import forget_rows
from store.history.layout import OWN_COLUMNS
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.learned_snapshots import learned_from, nothing_learned
from store.snapshots.reach import find_reach
from store.snapshots.rules import totals_of
from store.sources.holding import tell_source
from store.splits import taking
from store.splits.kept_lines import read_lines
from store.splits.taking import take_snapshot
from tests.store.splits.test_incremental import use_case_of


def with_classes(use_case: UseCase, *classes: str) -> UseCase:
    return use_case.model_copy(update={"target": use_case.target.model_copy(update={"classes": classes})})


def send(
    conn: psycopg.Connection[Any],
    chance: random.Random,
    first: int,
    count: int = 40,
    *,
    grouped: bool = False,
) -> None:
    """Labels of new records and of some that came before, by two sources; some fit no field or no class."""
    names = [
        f"i:{chance.randrange(first) if first and chance.random() < 0.2 else first + one}"
        for one in range(count)
    ]
    records = [{"x": "none" if chance.random() < 0.05 else chance.randrange(200) / 7} for _ in names]
    labels = [chance.choices("abz", (10, 10, 1))[0] for _ in names]
    batch = FeedbackBatch(
        names, [json.dumps(one) for one in records], labels, "test",
        said_by=[chance.choice(["ann", "bob"]) for _ in names],
        record_group=[f"g{chance.randrange(150)}" if grouped else None for _ in names],
    )  # fmt: skip
    add_feedback(conn, "apples", batch)
    conn.commit()


def take(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, production: Snapshot | None
) -> Snapshot:
    if production is None:
        learned, since = nothing_learned(conn, use_case, home), None
    else:
        learned = learned_from(conn, use_case, home, production.digest)
        since = find_reach(conn, [production.digest])
    return take_snapshot(conn, use_case, home, since=since, learned=learned)


def ensure_as_counted(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, taken: Snapshot) -> None:
    """Its totals are those of all rows, and so is what the next one goes on from."""
    rule = find_snapshot(conn, taken.digest).rule
    assert rule is not None
    table = table_of(home, use_case.name, use_case.record)
    with HistoryReader(table) as reader:
        totals = totals_of(reader, rule)
        different = reader.one(f"SELECT count(DISTINCT contents) FROM lines WHERE {rule.members(reader)}")
    assert (totals.digest, sum(totals.rows.values())) == (taken.digest, taken.rows)
    assert (totals.first_seq, totals.rows.get("train", 0)) == (taken.first_seq, taken.train_rows)
    assert taken.summed is not None
    assert taken.summed["seq"] == [totals.first_seq, totals.last_seq]
    _, least, most = taken.summed["contents"]
    assert least <= different <= most


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("by", "group"), [("time", None), ("time", "batch"), ("hash", None)])
def test_whatever_becomes_of_a_history(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, by: str,
    group: str | None,
) -> None:  # fmt: skip
    chance = random.Random(seed)
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    counted: list[bool] = []
    summed_up = taking._totals

    def noted(reader: Any, rule: Any, past: Any) -> Any:
        counted.append(past is None)
        return summed_up(reader, rule, past)

    monkeypatch.setattr(taking, "_totals", noted)
    classes = with_classes(use_case_of("numbers", by, group), "a", "b")
    all_labels = with_classes(classes, "a", "b", "z")
    production: Snapshot | None = None
    chain: list[Snapshot] = []
    for turn in range(9):
        send(conn, chance, 40 * turn, grouped=group is not None)
        if turn in (2, 6):
            known = conn.execute("SELECT identity FROM feedback ORDER BY seq OFFSET 5 LIMIT 3").fetchall()
            take_back(conn, "apples", LabelSelection([one for (one,) in known]), actor="ann", reason="wrong")
            conn.commit()
        if turn in (3, 5):
            tell_source(conn, classes, "bob", "hold" if turn == 3 else "release", "ann")
            conn.commit()
        use_case = all_labels if turn == 7 else classes
        taken = take(conn, use_case, tmp_path, production)
        ensure_as_counted(conn, use_case, tmp_path, taken)
        chain.append(taken)
        if turn == 0 or chance.random() < 0.6:
            production = taken if chance.random() < 0.7 else chance.choice(chain)
    assert (sum(counted) < 9) is (by == "time"), "most of them went on from the one before"


@pytest.fixture
def grown(conn: psycopg.Connection[Any], tmp_path: Path) -> tuple[UseCase, Snapshot]:
    use_case = use_case_of("numbers", "time", None)
    for turn in range(3):
        send(conn, random.Random(turn), 40 * turn)
        taken = take(conn, use_case, tmp_path, None)
    return use_case, taken


def noting_scans(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """An entry for each time from now on that all rows are gone through before anything is summed up."""
    scanned: list[bool] = []
    ensure_held = taking.ensure_held

    def noted(reader: Any, before: Any) -> None:
        scanned.append(True)
        ensure_held(reader, before)

    monkeypatch.setattr(taking, "ensure_held", noted)
    return scanned


@pytest.mark.parametrize("damage", ["flipped", "gone", "touched"])
def test_a_file_that_is_not_what_it_was_is_found_before_anything_is_summed_up(
    conn: psycopg.Connection[Any], grown: tuple[UseCase, Snapshot], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, damage: str,
) -> None:  # fmt: skip
    use_case, production = grown
    table = table_of(tmp_path, use_case.name, use_case.record)
    file = Path(table.files()[0])
    scanned = noting_scans(monkeypatch)
    send(conn, random.Random(7), 200)
    take(conn, use_case, tmp_path, production)
    assert not scanned, "every file is as it was"
    if damage == "gone":
        file.unlink()
    elif damage == "touched":
        os.utime(file, ns=(1, 1))
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(bytes(content))
    send(conn, random.Random(8), 300)
    taken = take(conn, use_case, tmp_path, production)
    assert scanned, "of a table that was made again too: its files are others"
    ensure_as_counted(conn, use_case, tmp_path, taken)


def test_other_fields_begin_anew(
    conn: psycopg.Connection[Any], grown: tuple[UseCase, Snapshot], tmp_path: Path
) -> None:
    use_case, production = grown
    fields = (*use_case.record.fields, use_case.record.fields[0].model_copy(update={"name": "more"}))
    other = use_case.model_copy(update={"record": RecordConfig(fields=fields)})
    ensure_as_counted(conn, other, tmp_path, take(conn, other, tmp_path, production))


def ensure_lines_kept(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, taken: Snapshot) -> None:
    """What is kept beside it is every line that the table has of those rows."""
    kept = read_lines(conn, taken.digest)
    assert kept is not None
    columns = ", ".join(name for name, _ in OWN_COLUMNS)
    with HistoryReader(table_of(home, use_case.name, use_case.record)) as reader:
        seq = reader.given({"seq": kept["seq"].to_numpy()})
        own = reader.rows(f"SELECT {columns} FROM lines WHERE seq IN (SELECT seq FROM {seq}) ORDER BY ALL")
        assert own == reader.rows(f"SELECT {columns} FROM {reader.shown(kept)} ORDER BY ALL")


def test_production_goes_back_and_forth(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    use_case, chance = use_case_of("numbers", "time", None), random.Random(3)
    chain: list[Snapshot] = []
    for turn, place in enumerate([None, 0, 1, 0, 0, 3, 1, 5]):
        send(conn, chance, 40 * turn)
        if turn in (2, 4, 6):
            known = conn.execute("SELECT identity FROM feedback ORDER BY seq OFFSET 5 LIMIT 3").fetchall()
            take_back(conn, "apples", LabelSelection([one for (one,) in known]), actor="ann", reason="wrong")
            conn.commit()
        chain.append(take(conn, use_case, tmp_path, None if place is None else chain[place]))
        ensure_as_counted(conn, use_case, tmp_path, chain[-1])
        ensure_lines_kept(conn, use_case, tmp_path, chain[-1])


@pytest.mark.parametrize("change", ["joined", "forgotten"])
def test_files_that_were_written_again_are_scanned(
    conn: psycopg.Connection[Any], grown: tuple[UseCase, Snapshot], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, change: str,
) -> None:  # fmt: skip
    use_case, production = grown
    table = table_of(tmp_path, use_case.name, use_case.record)
    if change == "joined":
        monkeypatch.setattr(tables, "_SMALL_FILES", 1)
        table.clean(conn)
    else:
        with HistoryReader(table) as reader:
            gone = reader.rows("SELECT batch, seq FROM lines WHERE kind <> 'gone' AND gone_in = 3")
        assert gone
        for batch, seq in gone:
            forget_rows(table, {batch: np.array([seq])})
    scanned = noting_scans(monkeypatch)
    monkeypatch.setattr(tables, "_SMALL_FILES", 64)
    for turn in (8, 9):
        send(conn, random.Random(turn), 300 + 40 * turn)
        taken = take(conn, use_case, tmp_path, production)
        ensure_as_counted(conn, use_case, tmp_path, taken)
        ensure_lines_kept(conn, use_case, tmp_path, taken)
    assert len(scanned) == 1, "only the first: the next one goes on from that"


def test_in_an_object_store(
    conn: psycopg.Connection[Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    use_case, production = use_case_of("numbers", "time", None), None
    for turn in range(4):
        send(conn, random.Random(turn), 40 * turn)
        taken = take(conn, use_case, tmp_path, production)
        ensure_as_counted(conn, use_case, tmp_path, taken)
        ensure_lines_kept(conn, use_case, tmp_path, taken)
        production = taken if turn in (0, 2) else production
