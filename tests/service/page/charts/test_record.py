"""The card of the record: what staying with production has lost over time, the line, and what moved it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from playwright.sync_api import Locator, expect

from models.production import ledger
from tests.service.page.browsing import PHONE, Visit
from tests.service.page.conftest import Open
from tests.service.page.samples import answer_with, at, visit_with

SENTENCE = "challengers of earlier retrains gain +0.0040 in Brier score a row"
MISSING = "staying with production must lose 0.0028 more to come to the line of 0.0100"


def verdict(days: float, event: str, production: int | None, version: int, **figures: Any) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(("rows", "periods", "gain", "lower", "lost", "line", "age"))
    if "lost" in figures:
        known |= {"rows": 1200, "periods": 4, "gain": 0.004, "lower": -0.0012, "line": 0.01, "age": 2}
    outcome = {"promoted": "record_beats_production", "rejected": "worse"}.get(event)
    return {
        "at": at(days), "event": event, "outcome": outcome, "production": production, "version": version,
        "challenger": None if event == "rolled_back" else "blend", **known, **figures,
    }  # fmt: skip


def record() -> dict[str, Any]:
    """Production moved by record, by held-out rows, and back; once it had lost less than nothing."""
    series = [
        verdict(9, "promoted", None, 1, outcome="first_model"),
        verdict(8, "rejected", 1, 2, lost=-0.0031),
        verdict(7, "promoted", 1, 3, lost=0.0121, age=3),
        verdict(6, "rejected", 3, 4, lost=0.0015, age=1),
        verdict(5, "promoted", 3, 5, lost=0.0024, outcome="beats_production"),
        verdict(4, "rolled_back", 5, 3),
        verdict(3, "rejected", 3, 6),
        verdict(2, "rejected", 3, 7, lost=0.0033, age=5),
        verdict(1, "rejected", 3, 8, lost=0.0072, age=6),
    ]
    return {"last": series[-1], "sentence": SENTENCE, "missing": MISSING, "series": series}


def card_of(visit: Visit) -> Locator:
    return visit.page.locator(".card").filter(
        has=visit.page.get_by_role("heading", name="Record of new models")
    )


def test_what_waiting_has_lost_is_drawn_with_the_line_and_the_moves(open_page: Open) -> None:
    visit = visit_with(open_page, "record", record())
    chart = card_of(visit).locator(".chart")
    expect(chart.locator("circle.point")).to_have_count(6)
    expect(chart.locator("path.line")).to_have_count(3)  # cut where production moved
    expect(chart.locator("path.band")).to_have_count(0)
    expect(chart.locator("text.limit")).to_have_text("promotes above 0.0100")
    expect(chart.locator("text.tick").filter(has_text=re.compile("^−0.00"))).not_to_have_count(0)
    expect(chart.locator("text.mark")).to_have_text(
        [
            re.compile("^v3promoted by its record"),
            re.compile("^v5promoted by held-out rows"),
            re.compile("^↩ v3"),
        ]
    )
    limit, above, below = (
        chart.locator(one).bounding_box()
        for one in ("line.limit", "circle.point >> nth=1", "circle.point >> nth=0")
    )
    assert limit is not None and above is not None and below is not None
    assert above["y"] < limit["y"] < below["y"]
    expect(chart.locator("text.tick").last).to_have_text("v3 +6")  # retrains after the version that serves
    expect(card_of(visit)).to_contain_text("the line that must be crossed (gate.shadows.cost)")
    expect(card_of(visit)).to_contain_text("v3 +6 is the number of the retrain after that version was made")
    visit.keep("record", of=card_of(visit))
    assert visit.complaints == []


def test_the_arrow_keys_tell_of_each_verdict(open_page: Open) -> None:
    visit = visit_with(open_page, "record", record())
    chart = card_of(visit).locator(".chart")
    expect(chart).to_have_attribute("aria-label", re.compile("lost, retrain by retrain. Left and right tell"))
    chart.focus()
    visit.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("+0.0072staying with v3, retrain 6 after it; v8 rejected")
    for _ in range(9):
        visit.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("−0.0031staying with v1, retrain 2 after it; v2 rejected")


def test_what_was_lost_by_a_version_that_was_taken_back_is_told_as_past(open_page: Open) -> None:
    told = record()
    told["series"].append(verdict(0.5, "rolled_back", 3, 1))
    visit = visit_with(open_page, "record", told)
    expect(card_of(visit).locator(".figure").first).to_have_text(
        "72%of the line had been lost by staying with v3, before production moved to v1: +0.0072, "
        "the line is 0.0100"
    )


def test_what_is_missing_for_the_next_promotion_is_said(open_page: Open) -> None:
    visit = visit_with(open_page, "record", record(), viewport=PHONE)
    card = card_of(visit)
    expect(card.locator(".figure").first).to_have_text(
        "72%of the line lost by staying with v3: +0.0072, the line is 0.0100"
    )
    expect(card.locator(".figure").nth(1)).to_contain_text("at least −0.0012")
    expect(card.locator(".next")).to_have_text(f"For the next promotion by record: {MISSING}.")
    card.get_by_text("The numbers").click()
    expect(card.locator("tbody tr")).to_have_count(9)
    expect(card.locator("tbody tr").nth(2)).to_contain_text("–")  # nothing was known
    assert visit.sideways() == 0
    assert visit.complaints == []


def test_without_a_record_it_is_said_what_makes_one(open_page: Open) -> None:
    missing = "no record yet: challengers of earlier retrains are asked about the labels that come after them"
    told: dict[str, Any] = {"last": None, "sentence": None, "missing": missing, "series": []}
    visit = visit_with(open_page, "record", told)
    card = card_of(visit)
    expect(card.locator(".empty")).to_have_text(f"N{missing[1:]}.")
    expect(card.locator(".chart")).to_have_count(0)
    answer_with(
        visit.page, "retrain/status",
        visit.page.request.get(f"{visit.url}/v1/plans/retrain/status").json() | {"record": record()},
    )  # fmt: skip
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # asks at once
    expect(card.locator(".chart circle.point")).to_have_count(6)
    assert visit.complaints == []


def test_a_verdict_of_the_server_is_drawn_as_it_is(open_page: Open, house: psycopg.Connection[Any]) -> None:
    figures = {"rows": 800, "periods": 3, "gain": 0.004, "error": 0.001, "lower": 0.003, "lost": 0.006}
    evidence = {"outcome": "worse", "record": figures | {"line": 0.01, "age": 2, "carried_by": []}}
    ledger.record(
        house,
        "spam_accounts",
        "rejected",
        actor="x",
        reason="",
        from_version=1,
        to_version=2,
        evidence=evidence,
    )
    visit = open_page("spam_accounts")
    card = card_of(visit)
    expect(card.locator(".next")).to_contain_text("must lose 0.0040 more to come to the line of 0.0100")
    expect(card.locator(".chart circle.point")).to_have_count(1)
    assert visit.complaints == []


def test_members_of_the_blend_that_serves_are_shown_with_their_weights(open_page: Open) -> None:
    visit = open_page("")
    model = visit.page.request.get(f"{visit.url}/v1/plans/model").json()
    members = [
        {"name": "newest_8", "weight": 0.38, "rows": 160, "window": 8},
        {"name": "full", "weight": 0.62, "rows": 240, "window": None},
    ]
    visit.go("plans")
    card = visit.page.locator(".card").filter(
        has=visit.page.get_by_role("heading", name="Production", exact=True)
    )
    expect(card).to_contain_text("Learned from")
    expect(card).not_to_contain_text("Blend of")
    answer_with(visit.page, "model", model | {"members": members})
    visit.page.reload()
    expect(card).to_contain_text("Blend offull 62%, newest 8 38%")
    assert visit.complaints == []
