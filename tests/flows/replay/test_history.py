"""What is replayed, in which order, and how it is cut."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from features.errors import SourceError
from features.records.contract import RecordContract
from flows.replay.history import History, cut, read_file, read_period, read_stored, usual_period
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import FeedbackRows, read_feedback
from store.history.draws import read_draw
from tests.flows.replay.worlds import USE_CASE, world


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tides.csv"
    lines = [
        "id,at,moon,wind,tide",
        "b,2026-01-03T00:00:00Z,1,2,high",
        "a,2026-01-01T00:00:00Z,-1,2,low",
        "c,2026-01-02T00:00:00Z,nonsense,2,low",
        "a,2026-01-02T12:00:00Z,-1,2,high",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_of_a_file_are_played_in_the_order_of_their_times(file: Path) -> None:
    history = read_file(USE_CASE, file)
    assert history.rows.labels.tolist() == ["low", "high", "high"]
    assert history.rows.columns["moon"].tolist() == [-1, -1, 1]
    assert (np.diff(history.rows.time) > np.timedelta64(0)).all()
    assert history.rows.seq.tolist() == [1, 2, 3]
    assert (history.source, history.refused) == (str(file), 1)
    assert (history.refusal or "").startswith("line 4: field 'moon'")


def test_stored_rows_are_played_as_if_they_had_come_in_the_order_of_their_times(
    conn: psycopg.Connection,
) -> None:
    for month in ("2026-02", "2025-01"):  # a file of last year is read after that of this one
        names = [f"i:{month}-0{day}" for day in (1, 2, 3)]
        batch = FeedbackBatch(
            names,
            [f'{{"moon": {number}, "wind": {month[:4]}}}' for number in range(3)],
            ["low", "high", "low"],
            "test",
            event_time=[f"{name[2:]}T00:00:00Z" for name in names],
        )
        add_feedback(conn, USE_CASE.name, batch)
    conn.commit()
    history = read_stored(conn, USE_CASE)
    assert [name[2:6] for name in history.rows.identities] == ["2025"] * 3 + ["2026"] * 3
    assert history.rows.seq.tolist() == [1, 2, 3, 4, 5, 6]
    stored = read_feedback(conn, USE_CASE.name, RecordContract(USE_CASE.record))
    assert stored.seq.argmin() == 3
    assert history.shares is not None
    assert history.shares.tolist() == read_draw(conn).shares(stored).tolist()


def test_rows_of_one_id_are_of_one_record(file: Path) -> None:
    first, again, other = read_file(USE_CASE, file).rows.ids
    assert first == again != other


def test_rows_are_grouped_by_a_field_or_a_column_beside_the_fields(tmp_path: Path) -> None:
    path = tmp_path / "tides.csv"
    path.write_text("moon,wind,tide,port\n3,0,high,a\n1,0,low,b\n2,0,low,a\n2,1,low,\n")
    for group, same in (("port", [(0, 2)]), ("wind", [(0, 1), (1, 2)])):
        record = USE_CASE.record.model_copy(update={"id_column": None, "time_column": None, "group": group})
        groups = read_file(USE_CASE.model_copy(update={"record": record}), path).rows.groups
        assert all(groups[one] == groups[other] for one, other in same)
        assert groups[3] != groups[0]


def test_rows_without_times_are_played_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tides.csv"
    path.write_text("moon,wind,tide\n3,0,high\n1,0,low\n2,0,low\n")
    plain = USE_CASE.model_copy(
        update={"record": USE_CASE.record.model_copy(update={"id_column": None, "time_column": None})}
    )
    assert read_file(plain, path).rows.columns["moon"].tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("", "there is none below the names of the columns"),
        ("c,2026-01-02T00:00:00Z,nonsense,2,low\n", "line 2: field 'moon'"),
        ("c,2026-01-02T00:00:00Z,1,2,NaN\n" * 2, "all 2 are refused, the first for line 2: label: "),
        ("c,2026-01-02T00:00:00Z,1,2,yes\n" * 2, "allowed: one of 'low', 'high'"),
    ],
)
def test_a_file_without_a_row_to_use_is_refused(tmp_path: Path, rows: str, why: str) -> None:
    path = tmp_path / "tides.csv"
    path.write_text(f"id,at,moon,wind,tide\n{rows}")
    with pytest.raises(SourceError, match="no row can be used") as refused:
        read_file(USE_CASE, path)
    assert why in str(refused.value)


def test_the_digest_tells_rows_and_order() -> None:
    history = world(2)
    assert history.digest == world(2).digest != world(2, seed=2).digest
    turned = History(history.rows, "elsewhere")
    assert turned.digest == history.digest


@pytest.mark.parametrize(
    ("rows", "size", "bounds"),
    [
        (10, 4, (0, 4, 8, 10)),  # what is left is half a period
        (9, 4, (0, 4, 8)),
        (8, 4, (0, 4, 8)),
    ],
)
def test_a_history_is_cut_by_rows(rows: int, size: int, bounds: tuple[int, ...]) -> None:
    history = world(1)
    part = History(_first(history, rows), "a part")
    periods = cut(part, size, 1)
    assert periods.bounds == bounds
    assert list(periods.played) == list(range(1, len(bounds) - 1))
    assert periods.rows(1).tolist() == [4, 5, 6, 7]


def test_a_history_is_cut_by_time_and_periods_without_a_row_are_left_out() -> None:
    history = world(1)  # a row a minute
    gap = history.rows.time.copy()
    gap[50:] += np.timedelta64(5, "h")
    late = History(_first(history, 100, times=gap), "with a gap")
    periods = cut(late, timedelta(minutes=30), 1)
    sizes = [len(periods.rows(number)) for number in range(len(periods.bounds) - 1)]
    assert sizes == [30, 20, 10, 30]  # the last ten minutes are less than half a period


@pytest.mark.parametrize(
    ("period", "made"),
    [
        (100, "300 rows make 3 periods of 100 rows; the first 8 are learned from"),
        (1000, "300 rows make 0 periods of 1,000 rows; "),
        (timedelta(weeks=2), "300 rows make 1 period of 2w; "),
    ],
)
def test_too_few_periods_say_what_to_do(period: int | timedelta, made: str) -> None:
    with pytest.raises(SourceError, match=f"{made}.*`--periods`, or fewer with `--first`"):
        cut(world(3), period, 8)


def test_rows_without_times_are_not_cut_by_time() -> None:
    timeless = _first(world(3), 300, times=np.full(300, np.datetime64("NaT", "us")))
    with pytest.raises(SourceError, match=r"a part: rows without a time.*`record.time_column`"):
        cut(History(timeless, "a part"), timedelta(days=1), 1)


def test_a_history_without_a_row_says_what_to_do() -> None:
    with pytest.raises(SourceError, match="the store has no labelled row; name a file with `--data`"):
        cut(History(_first(world(1), 0), "the store"), 100, 1)


@pytest.mark.parametrize(
    ("text", "period"),
    [("500", 500), ("12h", timedelta(hours=12)), ("1d", timedelta(days=1)), ("2w", timedelta(weeks=2))],
)
def test_periods_are_rows_or_times(text: str, period: int | timedelta) -> None:
    assert read_period(text) == period


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "3x", "0d", "d", "1 d"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a number of rows such as 500, or a time"):
        read_period(text)


def test_a_usual_period_is_a_sixtieth_and_not_too_small() -> None:
    assert usual_period(world(120), 100) == 200
    assert usual_period(world(3), 100) == 100


def _first(history: History, rows: int, times: NDArray[np.datetime64] | None = None) -> FeedbackRows:
    part = history.rows.take(slice(rows))
    return part if times is None else replace(part, time=times[:rows])
