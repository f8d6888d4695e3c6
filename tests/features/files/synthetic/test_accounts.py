"""Made-up accounts: repeatable, with campaigns in their periods, gaps in the fields and some noise."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.errors import SourceError
from features.files.synthetic.accounts import END, SCHEMA, START, make_accounts
from features.files.synthetic.campaigns import CAMPAIGNS, campaign_periods


@pytest.fixture(scope="module")
def accounts() -> pa.Table:
    return make_accounts(3000, seed=1)


def test_same_seed_same_rows(accounts: pa.Table) -> None:
    assert accounts.schema == SCHEMA
    assert accounts.equals(make_accounts(3000, seed=1))
    assert not accounts.equals(make_accounts(3000, seed=2))


def test_rows_are_in_time_order_and_have_ids_of_their_own(accounts: pa.Table) -> None:
    times = accounts["seen_at"].to_pylist()
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < END
    assert len(set(accounts["account_id"].to_pylist())) == 3000
    assert set(accounts["account_id"].to_pylist()).isdisjoint(
        make_accounts(50, seed=2)["account_id"].to_pylist()
    )


def test_campaigns_appear_in_their_periods_only(accounts: pa.Table) -> None:
    periods = campaign_periods(tuple(CAMPAIGNS), start=START, end=END)
    for name, (first, last) in periods.items():
        times = accounts.filter(pc.equal(accounts["campaign"], name))["seen_at"].to_pylist()
        assert len(times) > 50, name
        assert first <= min(times), name
        assert max(times) < last, name


def test_periods_leave_no_gap() -> None:
    periods = list(campaign_periods(("loans", "watches", "casino"), start=START, end=END).values())
    assert periods[0][0] == START
    assert periods[-1][1] == END
    assert all(following[0] < earlier[1] for earlier, following in pairwise(periods))


def test_only_the_campaigns_asked_for() -> None:
    made = make_accounts(400, seed=3, campaigns=("crypto",))
    assert set(made["campaign"].to_pylist()) == {"", "crypto"}
    assert set(make_accounts(200, seed=3, campaigns=())["campaign"].to_pylist()) == {""}


def test_fields_are_missing_on_both_sides(accounts: pa.Table) -> None:
    for verdict in ("spam", "genuine"):
        side = accounts.filter(pc.equal(accounts["verdict"], verdict))
        for name in ("name", "bio", "area", "website", "member_since", "last_login"):
            assert 0 < side[name].null_count < side.num_rows, (verdict, name)
    assert accounts["account_id"].null_count == accounts["seen_at"].null_count == 0


def test_dates_are_iso_and_in_order(accounts: pa.Table) -> None:
    for row in accounts.slice(0, 300).to_pylist():
        dates = [datetime.fromisoformat(row[name]) for name in ("member_since", "last_login") if row[name]]
        assert sorted(dates) == dates
        assert all(date.tzinfo is not None and date <= row["seen_at"] for date in dates)


def test_a_few_verdicts_are_wrong_and_the_campaign_tells(accounts: pa.Table) -> None:
    rows = accounts.to_pylist()
    wrong = sum((row["verdict"] == "spam") != bool(row["campaign"]) for row in rows)
    assert 0 < wrong < 0.03 * len(rows)


def test_no_site_could_be_real(accounts: pa.Table) -> None:
    sites = [site for site in accounts["website"].to_pylist() if site is not None]
    assert all(site.split("/")[2].endswith(".example") for site in sites)


def test_no_pattern_is_left_unfilled(accounts: pa.Table) -> None:
    for name in ("name", "bio", "website"):
        assert not any("#" in (text or "") for text in accounts[name].to_pylist()), name


def test_a_time_without_zone_is_utc() -> None:
    naive = make_accounts(20, seed=4, start=datetime(2024, 1, 1), end=datetime(2025, 1, 1))
    assert naive.equals(make_accounts(20, seed=4, start=datetime(2024, 1, 1, tzinfo=UTC), end=END))


def test_no_rows_is_an_empty_table() -> None:
    assert make_accounts(0, seed=1).schema == SCHEMA


def test_what_cannot_be_made_is_named() -> None:
    with pytest.raises(SourceError, match=r"unknown campaign 'beans'; allowed: watches, crypto"):
        make_accounts(1, seed=1, campaigns=("beans",))
    with pytest.raises(SourceError, match="is not after start"):
        make_accounts(1, seed=1, start=END, end=START)
