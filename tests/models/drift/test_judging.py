"""Evidently on small frames: what moved is found, what did not is not, and what it is given is bounded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig, FeaturesConfig, RecordConfig
from features.encoders.tabular import TabularEncoder
from features.records.contract import Columns
from models.drift.decision import DriftDecision
from models.drift.judging import Parts, compare, judge_frames, parts_of

CONFIG = DriftConfig(reference_rows=400, current_rows=200, min_rows=100, share=0.5, threshold=0.25)


def frame(rows: int, *, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.normal(shift, 1, rows),
            "colour": pd.Series(
                random.choice(["red", "blue"], rows, p=[0.5 + shift / 4, 0.5 - shift / 4]), dtype=object
            ),
        }
    )


def test_the_same_distribution_is_no_drift_and_a_moved_one_is(tmp_path: Path) -> None:
    same, _ = compare(CONFIG, frame(400), frame(200, seed=1), html=tmp_path / "same.html", seed=1)
    moved, page = compare(
        CONFIG, frame(400), frame(200, shift=1.5, seed=1), html=tmp_path / "moved.html", seed=1
    )
    assert (same.verdict, moved.verdict) == ("no_drift", "drift")
    assert {name: column.drifted for name, column in moved.columns.items()} == {
        "amount": True,
        "colour": True,
    }
    assert page is not None
    assert "<html" in page.read_text(encoding="utf-8")[:2000].lower()


def test_the_method_stays_pinned_however_many_rows_there_are(tmp_path: Path) -> None:
    for rows in (200, 2000):
        decision, _ = compare(
            CONFIG.model_copy(update={"reference_rows": rows}),
            frame(rows),
            frame(200),
            html=tmp_path / "d.html",
            seed=1,
        )
        assert {name: column.method for name, column in decision.columns.items()} == {
            "amount": "wasserstein",
            "colour": "jensenshannon",
        }


def test_rows_are_bounded_and_the_newest_are_taken(tmp_path: Path) -> None:
    current = pd.concat([frame(1000, shift=1.5), frame(200, seed=3)], ignore_index=True)
    decision, _ = compare(CONFIG, frame(5000), current, html=tmp_path / "d.html", seed=1)
    assert (decision.reference_rows, decision.current_rows) == (400, 200)
    assert decision.verdict == "no_drift"


def test_the_sample_is_drawn_by_the_seed_in_the_order_of_the_rows() -> None:
    before, now = frame(5000), frame(200, seed=1)
    drawn = judge_frames(CONFIG, before, now, seed=7)[1].reference
    assert drawn["amount"].tolist() == before.sample(400, random_state=7).sort_index()["amount"].tolist()
    assert (
        judge_frames(CONFIG, before, now, seed=8)[1].reference["amount"].tolist() != drawn["amount"].tolist()
    )


def test_values_that_go_missing_are_drift(tmp_path: Path) -> None:
    current = frame(200, seed=1).assign(colour=None)
    decision, _ = compare(CONFIG, frame(400), current, html=tmp_path / "d.html", seed=1)
    assert decision.columns["colour"].drifted


def test_what_the_newest_of_the_learned_rows_are_like_is_learned_and_no_drift() -> None:
    config = CONFIG.model_copy(update={"reference_rows": 1000})
    before, since = frame(900, seed=2), frame(300, shift=1.5, seed=3)
    current = frame(200, shift=1.5, seed=4)
    assert judge_frames(config, before, current, seed=1)[0].verdict == "drift"
    learned = judge_frames(config, pd.concat([before, since], ignore_index=True), current, seed=1)[0]
    assert learned.verdict == "no_drift"
    assert learned.reason.startswith("of the newest 300 rows that were learned 0 of 2 columns moved")
    assert "; of all 1 of 2 columns moved" in learned.reason


def test_a_part_with_what_is_compared_says_what_all_that_was_learned_says() -> None:
    before = pd.concat([frame(3000, seed=2), frame(1000, shift=1.5, seed=3)], ignore_index=True)
    whole = parts_of(CONFIG, len(before), 5)
    assert whole.newest == CONFIG.reference_rows
    assert isinstance(whole.sample, np.ndarray)
    kept = np.union1d(whole.sample, np.arange(len(before) - whole.newest, len(before)))
    part = Parts(np.flatnonzero(np.isin(kept, whole.sample)), whole.newest)
    for shift in (0.0, 0.7, 1.5, 2.0):
        current = frame(200, shift=shift, seed=4)
        of_all = judge_frames(CONFIG, before, current, seed=5)
        of_part = judge_frames(CONFIG, before.iloc[kept].reset_index(drop=True), current, seed=5, parts=part)
        assert of_part[0] == of_all[0]
        pd.testing.assert_frame_equal(of_part[1].reference, of_all[1].reference)


def test_records_like_all_of_a_file_that_came_sorted_are_no_drift() -> None:
    config = CONFIG.model_copy(update={"reference_rows": 1000})
    rows = frame(1200, seed=2).sort_values(["colour", "amount"], ignore_index=True)
    assert judge_frames(config, rows, frame(200, seed=3), seed=1)[0].verdict == "no_drift"


def test_few_rows_say_nothing(tmp_path: Path) -> None:
    few, page = compare(CONFIG, frame(400), frame(50), html=tmp_path / "few.html", seed=1)
    assert (few.verdict, page) == ("too_little_evidence", None)


@pytest.mark.parametrize("missing", [1.0, 0.95])
def test_a_number_that_has_gone_missing_is_named_and_is_drift_by_itself(
    tmp_path: Path, missing: float
) -> None:
    others = {f"n{place}": np.random.default_rng(place).normal(size=400) for place in range(9)}
    reference = frame(400).assign(**others)
    current = frame(200, seed=1).assign(**{name: values[:200] for name, values in others.items()})
    current.loc[: int(200 * missing) - 1, "amount"] = np.nan
    decision, page = compare(CONFIG, reference, current, html=tmp_path / "d.html", seed=1)
    assert decision.verdict == "drift"
    assert decision.columns["amount"].method == "missing"
    assert decision.columns["amount"].value == pytest.approx(missing)
    assert decision.columns["amount"].moved == f"missing in {missing:.0%} of recent records (0% before)"
    assert decision.reason.startswith(
        f"amount has gone missing (missing in {missing:.0%} of recent records, 0% before); 1 of 11 columns"
    )
    assert page is not None


def test_a_number_that_was_always_missing_and_has_come_is_named(tmp_path: Path) -> None:
    reference = frame(400).assign(amount=np.nan)
    decision, _ = compare(CONFIG, reference, frame(200), html=tmp_path / "d.html", seed=1)
    assert "amount is no longer missing (missing in 0% of recent records, 100% before)" in decision.reason
    back, _ = compare(CONFIG, reference, frame(200).assign(amount=np.nan), html=tmp_path / "d.html", seed=1)
    assert (back.verdict, set(back.columns)) == ("no_drift", {"colour"})
    assert back.left_out == {"amount": "0 values; 20 are needed"}


def dated(days: np.ndarray, seed: int) -> pd.DataFrame:
    """What an encoder says of records with one number and one date."""
    record = RecordConfig.model_validate(
        {
            "fields": [
                {"name": "n", "type": "number"},
                {"name": "seen", "type": "datetime", "nullable": True},
            ]
        }
    )
    numbers = np.random.default_rng(seed).normal(size=len(days))
    columns: Columns = {"n": numbers, "seen": days}
    return TabularEncoder.fit(columns, record, FeaturesConfig()).summarise(columns)


MONTHS = np.datetime64("2024-01-01", "us") + np.arange(400) * np.timedelta64(6, "h")
HOUR = np.datetime64("2024-06-01T12:00", "us") + np.arange(200) * np.timedelta64(18, "s")


def test_dates_do_not_count_by_themselves_but_can_go_missing(tmp_path: Path) -> None:
    decision, _ = compare(
        CONFIG, dated(MONTHS, 1), dated(HOUR, 2), html=tmp_path / "d.html", seed=1, dates=["seen"]
    )
    assert (decision.verdict, set(decision.columns)) == ("no_drift", {"n"})
    assert len(decision.left_out) == 7
    assert set(decision.left_out.values()) == {"a date, which moves by itself"}
    assert "not compared: seen:days (a date, which moves by itself)" in decision.reason
    never = np.full(200, np.datetime64("NaT", "us"))
    decision, _ = compare(
        CONFIG, dated(MONTHS, 1), dated(never, 2), html=tmp_path / "d.html", seed=1, dates=["seen"]
    )
    assert decision.reason.startswith("seen has gone missing")
    assert set(decision.columns) == {"n", "seen:days"}


def test_nothing_but_dates_is_no_evidence(tmp_path: Path) -> None:
    only = dated(MONTHS, 1).drop(columns="n"), dated(HOUR, 2).drop(columns="n")
    decision, page = compare(CONFIG, *only, html=tmp_path / "d.html", seed=1, dates=["seen"])
    assert (decision.verdict, page) == ("too_little_evidence", None)
    assert decision.reason.startswith("no column can be compared; not compared: seen:days")


def test_fields_that_are_ignored_do_not_count(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"ignore": ("amount",)})
    decision, _ = compare(config, frame(400), frame(200, shift=2, seed=1).assign(colour=frame(200)["colour"]),
                          html=tmp_path / "d.html", seed=1)  # fmt: skip
    assert (decision.verdict, decision.left_out) == ("no_drift", {"amount": "by drift.ignore"})


def named(values: Any) -> pd.Series:
    return pd.Series([str(value) for value in values], dtype=object)


def test_a_category_with_too_many_values_is_not_drift(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    reference = frame(400).assign(town=named(random.integers(0, 50_000, 400)))
    current = frame(200, seed=1).assign(town=named(random.integers(0, 50_000, 200)))
    decision, _ = compare(CONFIG, reference, current, html=tmp_path / "d.html", seed=1)
    assert decision.verdict == "no_drift"
    assert "town" not in decision.columns
    assert re.fullmatch(
        r"(3\d\d|400) different values in 400 records are too many to compare", decision.left_out["town"]
    )
    collapsed = current.assign(town="one")
    decision, _ = compare(CONFIG, reference, collapsed, html=tmp_path / "d.html", seed=1)
    assert decision.columns["town"].drifted


def test_many_categories_are_compared_where_each_has_many_rows() -> None:
    random = np.random.default_rng(0)

    def towns(rows: int, least: int = 0) -> pd.Series:
        return named(random.integers(least, 50, rows))

    few = judge_frames(CONFIG, frame(400).assign(town=towns(400)), frame(200).assign(town=towns(200)), seed=1)
    assert few[0].left_out == {"town": "50 different values in 400 records are too many to compare"}
    many = CONFIG.model_copy(update={"reference_rows": 8000, "current_rows": 6000})
    before = frame(8000).assign(town=towns(8000))
    same, _ = judge_frames(many, before, frame(6000).assign(town=towns(6000)), seed=1)
    moved, drawn = judge_frames(many, before, frame(6000).assign(town=towns(6000, 25)), seed=1)
    assert (same.columns["town"].drifted, moved.columns["town"].drifted) == (False, True)
    assert drawn.reference["town"].nunique() == 50


def test_categories_that_are_all_new_are_drift_and_rare_ones_that_come_and_go_are_not(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def mostly_red(rows: int) -> pd.Series:
        rare = random.integers(0, 10_000, rows).astype(str)
        return pd.Series(np.where(random.random(rows) < 0.8, "red", rare), dtype=object)

    reference = frame(400).assign(colour=mostly_red(400))
    same, _ = compare(
        CONFIG, reference, frame(200).assign(colour=mostly_red(200)), html=tmp_path / "d.html", seed=1
    )
    new, _ = compare(CONFIG, reference, frame(200).assign(colour="green"), html=tmp_path / "d.html", seed=1)
    assert (same.columns["colour"].drifted, new.columns["colour"].drifted) == (False, True)


def test_a_number_that_counts_the_records_is_left_out(tmp_path: Path) -> None:
    reference = frame(5000).assign(number=np.arange(5000.0))
    current = frame(200, seed=1).assign(number=np.arange(5000.0, 5200.0))
    decision, _ = compare(CONFIG, reference, current, html=tmp_path / "d.html", seed=1)
    assert decision.left_out == {"number": "a number that counts the records"}


@pytest.mark.parametrize(("others", "drifted"), [(0, False), (4, False), (150, True)])
def test_a_constant_that_hardly_changes_is_no_drift(tmp_path: Path, others: int, drifted: bool) -> None:
    constant = np.full(200, 3.0)
    constant[:others] = 4.0
    decision, _ = compare(
        CONFIG,
        frame(400).assign(amount=3.0),
        frame(200).assign(amount=constant),
        html=tmp_path / "d.html",
        seed=1,
    )
    assert decision.columns["amount"].drifted is drifted


@pytest.mark.parametrize("place", ["reference", "current"])
def test_one_absurd_number_neither_hides_drift_nor_makes_it(tmp_path: Path, place: str) -> None:
    reference, same, moved = frame(400), frame(200, seed=1), frame(200, shift=1.5, seed=1)
    for one in (reference,) if place == "reference" else (same, moved):
        one.loc[3, "amount"] = 1e308
    drifted = [
        compare(CONFIG, reference, current, html=tmp_path / "d.html", seed=1)[0].columns["amount"].drifted
        for current in (same, moved)
    ]
    assert drifted == [False, True]


def test_small_samples_of_the_same_do_not_cry_wolf(tmp_path: Path) -> None:
    config = DriftConfig()
    random = np.random.default_rng(5)

    def sample(rows: int) -> pd.DataFrame:
        numbers = {f"n{place}": random.normal(size=rows) for place in range(20)}
        categories = {f"c{place}": named(random.integers(0, 8, rows)) for place in range(10)}
        return pd.DataFrame(numbers | categories)

    decision, _ = compare(config, sample(2000), sample(100), html=tmp_path / "d.html", seed=1)
    assert decision.verdict == "no_drift"
    assert not any(column.drifted for column in decision.columns.values())
    assert re.search(r"; \d+ more beyond the threshold, as chance makes of 100 recent rows$", decision.reason)
    above = [column.value > config.threshold for column in decision.columns.values()]
    assert sum(above) > 5


@pytest.mark.parametrize("method", ["ks", "psi"])
def test_other_methods_can_be_chosen(tmp_path: Path, method: str) -> None:
    config = CONFIG.model_copy(update={"numeric_method": method, "threshold": 0.05})
    moved, _ = compare(config, frame(400), frame(200, shift=1.5), html=tmp_path / "d.html", seed=1)
    assert moved.columns["amount"].drifted


def remarked(rows: int, **columns: Any) -> DriftDecision:
    current = frame(rows, seed=1).assign(**columns)
    config = CONFIG.model_copy(update={"min_rows": 20})
    return judge_frames(config, frame(400), current, seed=1)[0]


def test_columns_that_are_constant_or_have_new_values_are_named_in_reason_and_evidence() -> None:
    colours = named(["green"] * 80 + ["red"] * 60 + ["blue"] * 60)
    decision = remarked(200, amount=1.5, colour=colours)
    assert decision.remarks == {
        "amount": 'constant now ("1.5" in all 200 recent records that have it)',
        "colour": 'new values ("green" in 40% of recent records)',
    }
    assert (
        'amount: constant now ("1.5" in all 200 recent records that have it); colour: new' in decision.reason
    )
    assert decision.as_dict()["remarks"] == decision.remarks
    assert remarked(200).remarks == {}


def test_values_are_named_in_their_own_letters() -> None:
    decision = remarked(200, colour=named(["grün"] * 80 + ["red"] * 60 + ["blue"] * 60))
    assert decision.remarks == {"colour": 'new values ("grün" in 40% of recent records)'}
    steering = remarked(200, colour=named(["a\x1b[31m"] * 80 + ["red"] * 60 + ["blue"] * 60))
    assert steering.remarks == {"colour": 'new values ("a\\u001b[31m" in 40% of recent records)'}


def test_a_value_that_comes_once_or_a_few_equal_ones_are_not_worth_a_remark() -> None:
    assert remarked(200, colour=named(["green"] + ["red", "blue"] * 99 + ["red"])).remarks == {}
    before = frame(400).assign(amount=np.where(np.arange(400) % 50, 0.0, 1.0))
    config = CONFIG.model_copy(update={"min_rows": 20})
    decision, _ = judge_frames(config, before, frame(30, seed=1).assign(amount=0.0), seed=1)
    assert decision.remarks == {}


def test_a_number_that_is_missing_more_often_is_named_though_it_is_not_gone() -> None:
    amount = np.where(np.arange(200) % 3, 1.0, np.nan) * frame(200, seed=1)["amount"]
    decision = remarked(200, amount=amount)
    assert decision.remarks == {"amount": "missing in 34% of recent records, 0% before"}
    assert decision.verdict == "no_drift"


@pytest.mark.parametrize("name", ["id", "customer_id", "customerId"])
def test_ids_are_left_out_and_what_repeats_or_is_called_otherwise_is_not(name: str) -> None:
    random = np.random.default_rng(0)
    ids = random.permutation(5000).astype(np.float64)
    current = frame(200, seed=1)
    decision, _ = judge_frames(
        CONFIG, frame(400).assign(**{name: ids[:400]}), current.assign(**{name: ids[400:600] + 9000}), seed=1
    )
    assert decision.left_out == {name: "an id, of which most records have one of their own"}
    assert "not compared: " + name in decision.reason
    shops = {name: random.integers(0, 9, 400).astype(np.float64)}
    decision, _ = judge_frames(
        CONFIG, frame(400).assign(**shops), current.assign(**{name: shops[name][:200]}), seed=1
    )
    assert decision.left_out == {}
    plain, _ = judge_frames(
        CONFIG, frame(400).assign(paid=ids[:400]), current.assign(paid=ids[400:600] + 9000), seed=1
    )
    assert plain.columns["paid"].drifted
