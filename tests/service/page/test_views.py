"""The page in a real Chromium: every view, on a phone and a desk, and what it says when things fail."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from features.errors import RefusedRow
from models.production.incumbent import version_deleted
from store.quarantine.rows import drop_rows, quarantine, where_retry_is_requested
from tests.service.conftest import USE_CASES
from tests.service.page.browsing import PHONE, visiting
from tests.service.page.conftest import Open
from tests.service.page.samples import answer_with_samples
from tests.service.servers import Server

VIEWS = [
    "",
    "digits",
    "digits/try",
    "digits/versions",
    "digits/drift",
    "digits/ledger",
    "plans/try",
    "intents/try",
]
SOURCES = """
    INSERT INTO label_source (use_case, name, labels, compared, contradicts, held_since, reason) VALUES
    ('plans', 'shop', 1200, 40, 0, NULL, NULL),
    ('plans', '<b>eve</b>', 60, 40, 30, now(), 'contradicts other sources in 30 of 40 rows')"""
RELEASED = """
    INSERT INTO label_source (use_case, name, labels, told, actor, told_at)
    VALUES ('plans', 'bob', 7, 'release', 'ann', now())"""
COUNTED = "INSERT INTO label_source_count (use_case, vote_seq, rules) VALUES ('plans', 0, '{}')"

TAKEN_BACK = """
    INSERT INTO label_taken_back (use_case, identity, said_by, record, label, received_at, actor, reason)
    VALUES
    ('plans', 'i:1', 'shop', '{}', 'One year', now(), 'shop', 'typo'),
    ('plans', 'i:2', 'shop', '{}', 'One year', now(), 'shop/<b>ann</b>', 'wrong <i>customer</i>')"""

MESSAGE = "a number is too large to be written"


def test_the_overview_has_every_use_case_and_says_which_server_is_away(open_page: Open) -> None:
    visit = open_page()
    expect(visit.page.locator(".use-case")).to_have_count(len(USE_CASES))
    expect(visit.page.locator(".use-case", has_text="Handwritten digits")).to_contain_text("v1")
    expect(visit.page.locator("#banner")).to_contain_text("MLflow is away.")
    servers = visit.page.locator(".servers li")
    expect(servers.filter(has_text="PostgreSQL")).to_contain_text("answers")
    expect(servers.filter(has_text="Prefect")).to_contain_text("away, so retrains")
    assert visit.complaints == []


def test_the_overview_says_of_production_that_was_deleted_in_mlflow_that_it_was(open_page: Open) -> None:
    visit = open_page("digits")
    visit.page.route("**/health", with_production_deleted)
    visit.go("")
    card = visit.page.locator(".use-case", has_text="Handwritten digits")
    expect(card).to_contain_text("MLflow no longer has production")
    expect(card).to_contain_text(version_deleted("digits", 1))


def with_production_deleted(route: Route) -> None:
    told = route.fetch().json()
    told["use_cases"]["digits"]["problem"] = version_deleted("digits", 1)
    route.fulfill(json=told)


def test_servers_that_share_a_database_are_listed_and_one_that_is_cut_off_says_so(open_page: Open) -> None:
    visit = open_page("")
    replicas = visit.page.get_by_label("Replicas")
    expect(replicas).to_be_hidden()
    visit.page.route("**/health", with_replicas)
    visit.go("digits")
    visit.go("")
    expect(replicas.locator("tbody tr")).to_have_count(2)
    expect(replicas.locator("tbody tr", has_text="10.0.0.6:3000")).to_contain_text("silent")
    expect(replicas.locator("tbody tr", has_text="10.0.0.5:3000")).to_contain_text("digits v7")
    expect(replicas.get_by_role("status")).to_contain_text("10.0.0.5:3000, is cut off from the database")
    assert visit.complaints == []


def with_replicas(route: Route) -> None:
    told = route.fetch().json()
    at = told["server"]["started_at"]
    one = {
        "server": "a", "address": "10.0.0.5:3000", "state": "serving", "processes": 2, "started_at": at,
        "seen_at": at, "serving": {"digits": {"versions": [7], "since": at}},
    }  # fmt: skip
    told["replicas"] = [one, one | {"server": "b", "address": "10.0.0.6:3000", "state": "silent"}]
    told["server"] |= {"address": "10.0.0.5:3000", "cut_off": {"since": at, "problem": "no route"}}
    route.fulfill(json=told)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", VIEWS)
def test_every_view_fits_a_phone_without_complaint(open_page: Open, place: str, scheme: str) -> None:
    visit = open_page(place, viewport=PHONE, color_scheme=scheme)
    expect(visit.page.locator("h1")).to_be_visible()
    visit.page.wait_for_load_state("networkidle")
    assert visit.sideways() == 0
    assert visit.page.title().endswith("Ratchet")
    assert visit.complaints == []


def test_a_service_that_stops_answering_is_said_and_asked_again(open_page: Open) -> None:
    visit = open_page("digits")
    expect(visit.page.locator(".head")).to_contain_text("serves")
    visit.page.context.set_offline(True)
    expect(visit.page.locator("#banner")).to_contain_text("The service does not answer.")
    expect(visit.page.locator("#health")).to_contain_text("no answer")
    with visit.page.expect_request("**/health"):
        # Before it answers, or the page may have asked by itself, and have no button any more.
        visit.page.get_by_role("button", name="Ask now").click()
    visit.page.context.set_offline(False)
    expect(visit.page.locator("#banner")).not_to_contain_text("The service does not answer.")


def test_a_key_is_asked_for_sent_and_never_shown(browser: Browser, server: Server) -> None:
    secret = "rk_0123456789"

    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == f"Bearer {secret}":
            route.fallback()
        else:
            error = {"error": {"code": "unauthorized", "message": "a key is needed", "details": {}}}
            route.fulfill(status=401, json=error)

    with visiting(browser, server.url) as visit:
        page = visit.page
        answer_with_samples(page)
        page.route("**/v1/**", guard)
        visit.go("digits")
        expect(page.locator("#banner")).to_contain_text("This server asks for an API key.")
        page.get_by_role("button", name="Give a key").click()
        field = page.locator("#key-field")
        assert field.get_attribute("type") == "password"
        field.fill(secret)
        page.keyboard.press("Enter")
        expect(page.locator(".head")).to_contain_text("serves")
        expect(page.locator("#banner")).not_to_contain_text("API key")
        assert secret not in page.content()
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        page.reload()
        expect(page.locator(".head")).to_contain_text("serves")


def test_a_scope_that_is_missing_is_named(open_page: Open) -> None:
    visit = open_page("digits")

    def forbid(route: Route) -> None:
        error = {"error": {"code": "forbidden", "message": "no", "details": {"needs": "train"}}}
        route.fulfill(status=403, json=error)

    visit.page.route("**/retrain", forbid)
    visit.page.get_by_role("button", name="Retrain").click()
    expect(visit.page.locator(".run")).to_contain_text("This needs a key with scope train.")


def test_themes_are_chosen_and_kept(open_page: Open) -> None:
    visit = open_page("", color_scheme="light")
    page = visit.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    button.click()
    expect(button).to_contain_text("Dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_everything_is_reached_by_tab(open_page: Open) -> None:
    visit = open_page("digits")
    page = visit.page
    expect(page.locator(".head")).to_contain_text("serves")
    page.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(30):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.textContent.trim() || document.activeElement.className")
        )
    for name in (
        "Skip to the content",
        "API key",
        "All use cases",
        "Roll back…",
        "Retrain",
        "Try it",
        "History",
    ):
        assert any(name in one for one in names), (name, names)
    page.locator(".tabs a", has_text="Now").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


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


def test_labels_that_were_taken_back_are_counted(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("plans", viewport=PHONE)
    card = visit.page.locator("section, article, div.card").filter(
        has=visit.page.get_by_role("heading", name="Labels", exact=True)
    )
    expect(card).to_contain_text("Recommended")
    expect(card).not_to_contain_text("Taken back")
    house.execute(TAKEN_BACK)
    try:
        visit.page.reload()
        expect(card).to_contain_text("Taken back")
        expect(card).to_contain_text("2 labels, the last by shop/<b>ann</b>")
        expect(card).to_contain_text(": wrong <i>customer</i>")
        assert visit.sideways() == 0
        assert visit.complaints == []
    finally:
        house.execute("DELETE FROM label_taken_back")


def test_sources_are_shown_where_there_are_several(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("plans", viewport=PHONE)
    card = visit.page.locator("section, article, div.card").filter(
        has=visit.page.get_by_role("heading", name="Sources of labels", include_hidden=True)
    )
    expect(visit.page.get_by_text("Last run")).to_be_visible()
    expect(card).to_be_hidden()
    for statement in (SOURCES, RELEASED, COUNTED):
        house.execute(statement)
    try:
        visit.page.reload()
        expect(card).to_be_visible()
        expect(card).to_contain_text(
            "source '<b>eve</b>' is held back: contradicts other sources in 30 of 40"
        )
        expect(card).to_contain_text("30 (75%)")
        expect(card).to_contain_text("1,200")
        expect(card.get_by_role("row", name="bob")).to_contain_text("yes, ann said so")
        expect(card).to_contain_text("Counted just now, when sources were held against each other last")
        assert visit.sideways() == 0
        assert visit.complaints == []
    finally:
        house.execute("DELETE FROM label_source")
        house.execute("DELETE FROM label_source_count")


def fail(page: Page, name: str) -> None:
    """Have a route of every use case fail."""

    def refuse(route: Route) -> None:
        route.fulfill(status=500, json={"error": {"code": "failed", "message": MESSAGE, "details": {}}})

    page.route(f"**/v1/*/{name}", refuse)


@pytest.mark.parametrize(
    ("name", "failing", "other", "shown"),
    [("ledger*", "Ledger", "Retrains", "promoted"), ("retrain/history*", "Retrains", "Ledger", "standing")],
)
def test_of_the_history_the_other_half_is_shown(
    open_page: Open, name: str, failing: str, other: str, shown: str
) -> None:
    visit = open_page("")
    page = visit.page
    entry = {"id": 1, "event": "rejected", "reason": "standing", "at": "2026-11-27T08:00:00Z", "actor": "ann",
             "run_id": None, "from_version": None, "to_version": None, "evidence": {}}  # fmt: skip
    page.route("**/v1/*/ledger*", lambda route: route.fulfill(json={"entries": [entry]}))
    fail(page, name)
    visit.go("digits/ledger")
    card = page.locator(".card").filter(has=page.get_by_role("heading", name=failing, exact=True))
    expect(card.get_by_role("alert")).to_have_text(MESSAGE)
    rest = page.locator(".card").filter(has=page.get_by_role("heading", name=other, exact=True))
    expect(rest).to_contain_text(shown)
    expect(rest.get_by_role("alert")).to_have_count(0)


def test_live_quality_that_cannot_be_read_says_so_beside_the_rest(open_page: Open) -> None:
    visit = open_page("")
    fail(visit.page, "quality*")
    visit.go("digits")
    card = visit.page.locator(".card").filter(has=visit.page.get_by_role("heading", name="Live quality"))
    expect(card.get_by_role("alert")).to_have_text(MESSAGE)
    expect(visit.page.locator(".head")).to_contain_text("serves")
    visit.go("")
    overview = visit.page.locator(".use-case", has_text="Handwritten digits")
    expect(overview).to_contain_text(f"Its live quality cannot be read {MESSAGE}")
    expect(overview).to_contain_text("Drift not checked yet")
    expect(overview).not_to_contain_text("no labelled answers")


def test_a_failing_status_of_one_use_case_is_told_on_its_card(open_page: Open) -> None:
    visit = open_page("")
    fail(visit.page, "retrain/status")
    visit.page.reload()
    overview = visit.page.locator(".use-case", has_text="Handwritten digits")
    expect(overview).to_contain_text(f"Its state cannot be read {MESSAGE}")
    expect(overview).to_contain_text("labelled answers")
