"""How the version that was promoted last stands beside the one before it, on the view "Now"."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.service.page.browsing import PHONE, Visit
from tests.service.page.conftest import Open
from tests.service.page.samples import at, visit_with

WATCHED: dict[str, Any] = {
    "at": at(0.01), "version": 5, "before": 3, "verdict": "on_probation", "labels": 1240,
    "most_labels": 20_000,
    "counts": "right answers", "better": 31, "worse": 52, "lost": 0.0169, "wealth": 4.4721, "line": 20.0,
    "to_go": 870, "why": None, "sentence": "version 5 is watched beside version 3",
}  # fmt: skip


def part(visit: Visit) -> Locator:
    return visit.page.get_by_role("region", name="Probation")


def test_a_watched_version_says_how_far_the_evidence_against_it_is(open_page: Open) -> None:
    visit = visit_with(open_page, "probation", WATCHED)
    told = part(visit)
    expect(told).to_contain_text("Version 5 beside 3")
    for words in (
        "watched",
        "1,240 of 20,000",
        "31",
        "52",
        "4.47 of the 20 that take it back",
        "about 870 more labels like these",
        "1.69 fewer right in 100 answers",
        "after 18,760 more labels",
    ):
        expect(told).to_contain_text(words)
    bar = told.get_by_role("img")
    expect(bar).to_have_attribute("aria-label", "evidence against it: 4.47 of the 20 that take it back")
    assert bar.locator("i").evaluate("bar => bar.style.width") == "50%", "by its logarithm"
    assert visit.complaints == []


def test_why_a_person_must_look_is_said(open_page: Open) -> None:
    why = "what speaks against it rests on one source, 'shop/<b>ann</b>'"
    visit = visit_with(
        open_page, "probation", WATCHED | {"verdict": "held", "wealth": 3e9, "to_go": 0, "why": why}
    )
    expect(part(visit)).to_contain_text("held")
    expect(part(visit)).to_contain_text("more than a million of the 20")
    expect(part(visit).get_by_text(why)).to_be_visible()
    assert part(visit).locator("p b").count() == 0
    assert visit.complaints == []


def test_what_cannot_be_compared_shows_no_figures(open_page: Open) -> None:
    why = "version 3 of 'plans' is not in the registry"
    visit = visit_with(
        open_page, "probation", WATCHED | {"verdict": "not_compared", "labels": 0, "why": why, "to_go": None}
    )
    expect(part(visit)).to_contain_text(why)
    expect(part(visit).get_by_role("img")).to_have_count(0)


def test_without_a_promotion_there_is_nothing(open_page: Open) -> None:
    visit = visit_with(open_page, "probation", None)
    expect(visit.page.get_by_role("heading", name="Production")).to_be_visible()
    expect(part(visit)).to_have_count(0)


def test_it_fits_a_phone(open_page: Open) -> None:
    visit = visit_with(open_page, "probation", WATCHED, viewport=PHONE)
    expect(part(visit)).to_be_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
