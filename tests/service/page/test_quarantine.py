"""The card of refused rows: hidden where there are none, else why, how many, and a way to try them again."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import expect

from features.errors import RefusedRow
from store.quarantine.rows import drop_rows, quarantine, where_retry_is_requested
from tests.service.page.browsing import PHONE
from tests.service.page.conftest import Open


def test_refused_rows_are_shown_and_tried_again(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("plans", viewport=PHONE)
    card = visit.page.locator("section, article, div.card").filter(
        has=visit.page.get_by_role("heading", name="Quarantine", include_hidden=True)
    )
    expect(visit.page.get_by_text("Last run")).to_be_visible()
    expect(card).to_be_hidden()
    rows = [
        RefusedRow(line, f"label: got '<b>{line}</b>'; allowed: one of 'a'", {"y": line}) for line in (2, 3)
    ]
    quarantine(house, "plans", "plans.csv", rows)
    try:
        visit.page.reload()
        expect(card).to_be_visible()
        expect(card).to_contain_text("2 rows refused")
        expect(card).to_contain_text("label: got '<b>2</b>'; allowed: one of 'a'")
        expect(card).to_contain_text("plans.csv line 2")
        assert visit.sideways() == 0
        card.get_by_role("button", name="Try again").click()
        expect(card).to_contain_text("The worker tries 2 rows again.")
        assert where_retry_is_requested(house) == {"plans"}
        assert visit.complaints == []
    finally:
        drop_rows(house, "plans")
