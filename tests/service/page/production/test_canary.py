"""What is tried on a share of the requests, beside production, on the view "Now"."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.service.page.browsing import PHONE, Visit
from tests.service.page.conftest import Open
from tests.service.page.production.test_probation import WATCHED
from tests.service.page.samples import at, visit_with

TRIED: dict[str, Any] = {
    "version": 6, "against": 5, "share": 0.1, "keys": "the field 'customer'", "since": at(2.0),
    "until": at(-22.0), "labels": 0, "most_labels": 500, "verdict": "tried", "probation": None,
    "sentence": "version 6 answers 10% of the requests beside version 5",
}  # fmt: skip
SEEN = TRIED | {"labels": 1240, "probation": WATCHED | {"version": 6, "before": 5}}


def part(visit: Visit) -> Locator:
    return visit.page.get_by_role("region", name="Canary")


def test_before_a_label_it_says_whose_requests_it_answers(open_page: Open) -> None:
    visit = visit_with(open_page, "canary", TRIED)
    told = part(visit)
    for words in (
        "Version 6 is tried beside 5",
        "10% of the keys, by the field 'customer'",
        "after 500 labels",
    ):
        expect(told).to_contain_text(words)
    expect(told.get_by_role("img")).to_have_count(0)
    assert visit.complaints == []


def test_what_labels_say_is_shown_as_of_a_promoted_version(open_page: Open) -> None:
    visit = visit_with(open_page, "canary", SEEN)
    for words in ("1,240 of 500", "31", "52", "4.47 of the 20 that take it back"):
        expect(part(visit)).to_contain_text(words)
    expect(part(visit).get_by_role("img")).to_have_attribute(
        "aria-label", "evidence against it: 4.47 of the 20 that take it back"
    )
    assert visit.complaints == []


def test_why_a_person_must_look_is_said(open_page: Open) -> None:
    why = "what speaks against it rests on one source, 'shop/<b>ann</b>'"
    held = SEEN | {"verdict": "held", "probation": WATCHED | {"verdict": "held", "why": why}}
    visit = visit_with(open_page, "canary", held)
    expect(part(visit)).to_contain_text("held")
    expect(part(visit).get_by_text(why)).to_be_visible()


def test_without_one_there_is_nothing_and_it_fits_a_phone(open_page: Open) -> None:
    visit = visit_with(open_page, "canary", None)
    expect(visit.page.get_by_role("heading", name="Production")).to_be_visible()
    expect(part(visit)).to_have_count(0)
    phone = visit_with(open_page, "canary", SEEN, viewport=PHONE)
    expect(part(phone)).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
