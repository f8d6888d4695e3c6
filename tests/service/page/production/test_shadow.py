"""The version of `serving.shadow` beside what was served, on the view "Now"."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.service.page.browsing import PHONE, Visit
from tests.service.page.conftest import Open
from tests.service.page.samples import at, visit_with

RIGHT: dict[str, Any] = {
    "labelled": 420, "served_right": 378, "shadow_right": 391, "better": 21, "worse": 8, "difference": 0.031,
    "low": 0.0064, "high": 0.0557, "evidence_better": 6.1, "evidence_worse": 0.02, "verdict": "open",
    "of": "all", "warning": None, "line": 20.0,
}  # fmt: skip
ASKED: dict[str, Any] = {
    "alias": "challenger", "state": "answers", "version": 6, "why": None, "answered": 12_400,
    "differing": 645, "failed": 3, "left_out": 120, "production": 5, "since": at(0.5),
    "changed_at": at(0.5), "given_up": False,
    "share_differing": 0.052, "alone_ms": 0.2104, "production_ms": 0.1987, "batch_ms": 0.09,
    "pairs": [{"served": "basic", "shadow": "pro<b>", "count": 401},
              {"served": "pro", "shadow": "basic", "count": 32}],
    "failures": [{"kind": "ValueError", "count": 3, "example": "ValueError: a probability is no number"}],
    "scores": {"rows": 5000, "served_mean": 0.91, "shadow_mean": 0.84, "distance": 0.21, "moved": True},
    "right": RIGHT, "sentence": "version 6 (challenger) is asked beside what serves",
}  # fmt: skip


def part(visit: Visit) -> Locator:
    return visit.page.get_by_role("region", name="Shadow")


def test_it_says_how_often_it_answers_otherwise_and_what_it_costs(open_page: Open) -> None:
    visit = visit_with(open_page, "shadow", ASKED)
    told = part(visit)
    for words in (
        "Version 6, challenger", "asked", "12,400", "5.2%", "120",
        "0.21 ms beside 0.199 ms of version 5", "0.840 beside 0.910 served, moved",
        "93.1% beside 90.0% served, 420 labels", "+0.6 to +5.6 points",
        "3 could not be answered: ValueError: a probability is no number",
    ):  # fmt: skip
        expect(told).to_contain_text(words)
    expect(told.get_by_role("row").nth(1)).to_contain_text("basicpro<b>401")
    assert visit.complaints == []


def test_what_is_sure_and_what_to_know_before_is_said(open_page: Open) -> None:
    warning = "60 of 12,400 answers have a label"
    right = RIGHT | {"verdict": "better", "of": "audited", "warning": warning}
    visit = visit_with(open_page, "shadow", ASKED | {"right": right})
    expect(part(visit)).to_contain_text("surely better")
    expect(part(visit)).to_contain_text("Right, of audited answers")
    expect(part(visit).get_by_text(warning)).to_be_visible()
    assert visit.complaints == []


def test_one_that_hangs_says_why_and_what_to_do(open_page: Open) -> None:
    nothing = dict.fromkeys(("share_differing", "alone_ms", "production_ms", "batch_ms", "scores", "right"))
    why = "it took over 30 s for at most 64 records"
    visit = visit_with(
        open_page,
        "shadow",
        ASKED | nothing | {"state": "hangs", "why": why, "answered": 0, "pairs": [], "failures": []},
    )
    expect(part(visit)).to_contain_text("hangs")
    expect(part(visit)).to_contain_text(why)
    expect(part(visit)).to_contain_text("ratchet shadow --again")
    expect(part(visit).get_by_role("term")).to_have_count(0)
    assert visit.complaints == []


def test_without_labels_scores_and_costs_they_are_left_out(open_page: Open) -> None:
    few = ASKED | {
        "right": None,
        "scores": None,
        "alone_ms": None,
        "production_ms": None,
        "pairs": [],
        "failed": 0,
    }
    visit = visit_with(open_page, "shadow", few | {"failures": [], "left_out": 0})
    expect(part(visit).get_by_role("term")).to_have_text(
        ["Asked since", "Live records", "Answered otherwise"]
    )
    assert visit.complaints == []


def test_without_a_shadow_there_is_nothing(open_page: Open) -> None:
    visit = visit_with(open_page, "shadow", None)
    expect(visit.page.get_by_role("heading", name="Production")).to_be_visible()
    expect(part(visit)).to_have_count(0)


def test_it_fits_a_phone(open_page: Open) -> None:
    visit = visit_with(open_page, "shadow", ASKED, viewport=PHONE)
    expect(part(visit)).to_be_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
