"""What a person chose, opened or focused stays when answers of the servers come, in whichever order."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.page.conftest import Open
from tests.service.page.samples import answer_with, quality, versions

LATE = ("health", "v1/digits/retrain/status", "v1/digits/model", "v1/digits/schema")
HEAR_MOVES = """document.addEventListener("pointermove", ({ clientX, clientY, screenX, screenY }) => {
  window.heard = { clientX, clientY, screenX, screenY };
})"""
ASK_NOW = "document.dispatchEvent(new Event('visibilitychange'))"


def hold(page: Page, path: str) -> list[Route]:
    """Requests of a path, which wait for an answer until `release`."""
    held: list[Route] = []
    page.route(f"**/{path}", lambda route: held.append(route))
    return held


def release(page: Page, path: str, held: list[Route]) -> None:
    page.unroute(f"**/{path}")
    for route in held:
        route.continue_()


def mark(page: Page) -> None:
    """Have the parts of this view known again."""
    page.evaluate("document.querySelector('#main').firstElementChild.marked = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('#main').firstElementChild.marked === true"))


@pytest.mark.parametrize("late", LATE)
def test_a_chosen_point_stays_chosen_when_an_answer_comes_late(open_page: Open, late: str) -> None:
    visit = open_page("spam_accounts")
    page = visit.page
    page.goto("about:blank")
    held = hold(page, late)
    visit.go("")
    visit.go("digits")
    chart = page.locator(".chart")
    expect(chart.locator("circle.point")).to_have_count(30)
    mark(page)
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("v3, ")
    page.wait_for_timeout(1_600)  # as long as the page waits for health before it draws
    release(page, late, held)
    expect(page.locator(".head")).to_contain_text("version 1 serves")
    expect(page.locator("#health")).not_to_have_text("…")
    assert is_marked(page)
    expect(chart.locator(".told")).to_contain_text("v3, ")
    expect(chart).to_be_focused()
    assert visit.complaints == []


def test_a_point_chosen_by_keys_is_not_given_up_for_a_mouse_that_lies_there(open_page: Open) -> None:
    visit = open_page("digits")
    page = visit.page
    chart = page.locator(".chart")
    expect(chart.locator("circle.point")).to_have_count(30)
    told = chart.locator(".told")
    box = chart.bounding_box()
    assert box is not None
    page.evaluate(HEAR_MOVES)
    page.mouse.move(box["x"] + 80, box["y"] + box["height"] - 40)
    expect(told).to_contain_text("v1, ")
    chart.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("v3, ")
    here = page.evaluate("window.heard")
    chart.dispatch_event("pointermove", here)  # as browsers tell of a mouse under which the page has moved
    expect(told).to_contain_text("v3, ")
    chart.dispatch_event("pointerleave", here)
    expect(told).to_contain_text("v3, ")
    page.mouse.move(box["x"] + 90, box["y"] + box["height"] - 40)
    expect(told).to_contain_text("v1, ")
    page.mouse.move(2, 2)
    expect(told).to_be_hidden()


def test_numbers_that_are_read_stay_open_when_new_ones_come(open_page: Open) -> None:
    visit = open_page("digits")
    page, sample = visit.page, quality()
    summary = page.locator("summary", has_text="The numbers").first
    summary.click()
    row = page.locator(".card tbody tr").first
    expect(row).to_contain_text("v3")
    answer_with(page, "quality*", sample | {"windows": [sample["windows"][-1] | {"version": 7}]})
    page.evaluate(ASK_NOW)
    expect(row).to_contain_text("v7")
    expect(row).to_be_visible()
    expect(summary).to_be_focused()
    assert visit.complaints == []


def test_what_is_compared_stays_as_it_was_chosen_when_a_version_comes(open_page: Open) -> None:
    visit = open_page("spam_accounts")
    page, sample = visit.page, versions()
    for one in sample["versions"]:
        one["metrics"]["fit_seconds"] = 4.5
    answer_with(page, "versions*", sample)
    visit.go("digits/versions")
    rows = page.locator(".versions tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_text("Other numbers of their runs").click()
    other = page.locator("details .compare")
    expect(other).to_be_visible()
    box = page.get_by_label("Compare version 1")
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator(".compare").first.locator("thead th")).to_have_count(4)
    newest = sample["versions"][0] | {"version": 4, "aliases": []}
    answer_with(page, "versions*", sample | {"versions": [newest, *sample["versions"]]})
    page.evaluate(ASK_NOW)
    expect(rows).to_have_count(4)
    expect(page.locator(".compare").first.locator("thead th")).to_have_count(4)
    expect(other).to_be_visible()
    expect(box).to_be_focused()
    for version in (1, 2, 3):
        page.get_by_label(f"Compare version {version}").uncheck()
    answer_with(page, "versions*", sample)
    page.evaluate(ASK_NOW)
    expect(rows).to_have_count(3)
    expect(page.locator(".versions input:checked")).to_have_count(0)
    assert visit.complaints == []


def test_versions_that_come_before_the_schema_show_its_metric_then(open_page: Open) -> None:
    visit = open_page("spam_accounts")
    page = visit.page
    held = hold(page, "v1/digits/schema")
    visit.go("digits/versions")
    expect(page.locator(".versions tbody tr")).to_have_count(3)
    release(page, "v1/digits/schema", held)
    expect(page.locator(".versions th", has_text="Accuracy")).to_be_visible()
    expect(page.locator(".versions tbody tr").first).to_contain_text("0.9385")


def test_evidence_stays_open_when_an_entry_comes_before_it(open_page: Open) -> None:
    visit = open_page("spam_accounts")
    page = visit.page
    entry = {
        "id": 1, "event": "promoted", "from_version": 1, "to_version": 2, "actor": "a", "reason": "better",
        "at": quality()["windows"][0]["from"], "run_id": None, "evidence": {"said": "first"},
    }  # fmt: skip
    answer_with(page, "ledger*", {"entries": [entry]})
    visit.go("digits/ledger")
    summaries = page.locator(".ledger summary")
    summaries.click()
    newer = entry | {"id": 2, "evidence": {"said": "second"}}
    answer_with(page, "ledger*", {"entries": [newer, entry]})
    page.evaluate(ASK_NOW)
    expect(summaries).to_have_count(2)
    expect(page.locator(".ledger details[open]")).to_have_count(1)
    expect(page.locator(".ledger details[open]")).to_contain_text("first")
    expect(summaries.nth(1)).to_be_focused()
