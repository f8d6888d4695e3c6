"""The card of sources: hidden where one says all, else what each says, and which are held back."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import expect

from tests.service.page.browsing import PHONE
from tests.service.page.conftest import Open

SOURCES = """
    INSERT INTO label_source (use_case, name, labels, compared, contradicts, held_since, reason) VALUES
    ('plans', 'shop', 1200, 40, 0, NULL, NULL),
    ('plans', '<b>eve</b>', 60, 40, 30, now(), 'contradicts other sources in 30 of 40 rows')"""


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
