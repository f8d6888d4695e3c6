"""Cards that are there only where something is: rows in quarantine, and several sources of labels."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import expect

from features.errors import RefusedRow
from store.quarantine.rows import drop_rows, quarantine, where_retry_is_requested
from tests.service.page.browsing import PHONE
from tests.service.page.conftest import Open

SOURCES = """
    INSERT INTO label_source (use_case, name, labels, compared, contradicts, held_since, reason) VALUES
    ('plans', 'shop', 1200, 40, 0, NULL, NULL),
    ('plans', '<b>eve</b>', 60, 40, 30, now(), 'contradicts other sources in 30 of 40 rows')"""


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


def test_sources_are_shown_where_there_are_several(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("plans", viewport=PHONE)
    card = visit.page.locator("section, article, div.card").filter(
        has=visit.page.get_by_role("heading", name="Sources of labels", include_hidden=True)
    )
    expect(visit.page.get_by_text("Last run")).to_be_visible()
    expect(card).to_be_hidden()
    house.execute(SOURCES)
    try:
        visit.page.reload()
        expect(card).to_be_visible()
        expect(card).to_contain_text(
            "source '<b>eve</b>' is held back: contradicts other sources in 30 of 40"
        )
        expect(card).to_contain_text("30 (75%)")
        expect(card).to_contain_text("1,200")
        assert visit.sideways() == 0
        assert visit.complaints == []
    finally:
        house.execute("DELETE FROM label_source")
