"""What the page tells of a use case: runs as they go, quality, versions, drift and ledger."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import psycopg
from playwright.sync_api import expect

from models.production import ledger
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import queued_run
from tests.service.page.conftest import Open
from tests.service.page.production.test_canary import TRIED
from tests.service.page.samples import answer_with, at, drift, quality


def test_a_retrain_is_started_followed_and_its_version_shown(
    open_page: Open, house: psycopg.Connection[Any]
) -> None:
    visit = open_page("digits")
    page = visit.page
    expect(page.locator(".head")).to_contain_text("version 1 serves")
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Retrain").click()
    expect(page.locator(".run")).to_contain_text("Waiting for the worker")
    run = queued_run(house, "digits")
    assert run is not None
    token = lifecycle.start_run(house, run.id)
    for epoch in (1, 2):
        said = {"step": "train", "challenger": "full", "epoch": epoch, "epochs": 2, "loss": 0.5 / epoch,
                "compute": "2 processes of this machine"}  # fmt: skip
        lifecycle.heartbeat(house, run.id, token, said)
    expect(page.locator(".run .sentence")).to_have_text(
        "Train full, epoch 2 of 2, 2 processes of this machine"
    )
    expect(page.locator(".run")).to_contain_text("0.2500")
    assert 0.3 < float(page.locator("progress").get_attribute("value") or 0) < 0.9
    expect(page.get_by_role("button", name="Retrain")).to_be_disabled()
    ledger.announce(house, "digits", 2)
    decision = {
        "verdict": "promote", "outcome": "beats_production", "metric": "accuracy", "rows": 200,
        "challenger": 0.95001, "production": 0.95, "difference": 0.00001, "reason": "better",
        "interval": {"low": 0.02, "high": 0.08, "level": 0.95},
    }  # fmt: skip
    result = {
        "outcome": "promoted",
        "reason": "better",
        "version": 2,
        "production_before": 1,
        "decisions": {"full": decision},
        "compute": "2 processes of this machine",
    }
    lifecycle.finish_run(house, run.id, token, "succeeded", result)
    expect(page.locator(".verdict")).to_contain_text("Version 2 is production.")
    expect(page.locator(".verdict")).to_contain_text("Made by 2 processes of this machine.")
    expect(page.locator(".judged")).to_contain_text("0.02000 to 0.08000 at 95%")
    expect(page.locator(".judged")).to_contain_text("0.95001")
    expect(page.locator(".head")).to_contain_text("version 2 serves")
    assert page.evaluate("window.stayed")
    assert visit.complaints == []
    ledger.announce(house, "digits", 1)


def test_a_run_of_others_is_shown_and_stopped(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("plans/try")
    page = visit.page
    expect(page.locator(".head")).to_contain_text("version")
    run_id = request_run(house, "plans", "retrain", "schedule")
    token = lifecycle.start_run(house, run_id)
    expect(page.locator(".run")).to_contain_text(run_id[:8])
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".run .sentence")).to_contain_text("Stopping")
    assert lifecycle.heartbeat(house, run_id, token)
    lifecycle.finish_run(house, run_id, token, "stopped")
    expect(page.locator(".verdict")).to_contain_text("Stopped; production stays.")


def test_live_quality_is_drawn_with_what_moved_production(open_page: Open) -> None:
    visit = open_page("digits")
    chart = visit.page.locator(".chart")
    expect(chart.locator("text.mark")).to_have_text(
        [re.compile("^v2"), re.compile("^↩ v1"), re.compile("^v3")]
    )
    expect(chart.locator("circle.point")).to_have_count(30)
    chart.focus()
    visit.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("v3, ")
    visit.page.get_by_text("The numbers").click()
    expect(visit.page.locator(".card tbody tr")).to_have_count(30)
    assert visit.complaints == []


def test_a_chosen_point_stays_chosen_when_new_numbers_come(open_page: Open) -> None:
    visit = open_page("")
    page, sample = visit.page, quality()
    answer_with(page, "quality*", sample)
    visit.go("digits")
    chart = page.locator(".chart")
    expect(chart.locator("circle.point")).to_have_count(30)
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("v3, ")
    more = sample["windows"][-1] | {"version": 7}
    answer_with(page, "quality*", sample | {"windows": [*sample["windows"][:-1], more]})
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # asks at once
    expect(chart.locator(".told")).to_contain_text("v7, ")
    expect(chart).to_be_focused()
    assert visit.complaints == []


def test_moves_before_the_first_labelled_answer_are_counted_beside_the_chart(open_page: Open) -> None:
    visit = open_page("")
    page = visit.page
    old = [(None, 1, 40.0), (1, 2, 36.0), (2, 3, 29.5)]
    sample = quality()
    shown = sample["promotions"]
    earlier = [
        {"at": at(days), "event": "promoted", "from": before, "to": after} for before, after, days in old
    ]
    answer_with(page, "quality*", sample | {"promotions": earlier + shown})
    visit.go("digits")
    expect(page.locator(".legend")).to_contain_text("3 earlier moves of production")
    chart = page.locator(".chart")
    expect(chart.locator("line.mark")).to_have_count(len(shown))
    expect(chart.locator("text.mark")).to_have_text(
        [re.compile("^v2"), re.compile("^↩ v1"), re.compile("^v3")]
    )
    answer_with(page, "quality*", sample | {"promotions": earlier[2:] + shown})
    page.reload()
    expect(page.locator(".legend")).to_contain_text("1 earlier move of production")
    answer_with(page, "quality*", sample)
    page.reload()
    expect(page.locator(".chart line.mark")).to_have_count(len(shown))
    expect(page.locator(".legend")).not_to_contain_text("earlier")
    assert visit.complaints == []


def test_live_quality_says_how_many_answers_carry_a_label(open_page: Open) -> None:
    visit = open_page("")
    page, sample = visit.page, quality()
    answer_with(page, "quality*", sample)
    visit.go("digits")
    expect(page.locator(".figures")).to_contain_text("of 7,500 answers are labelled (80.0%)")
    expect(page.locator(".figures + .note")).to_have_count(0)
    status = page.request.get(f"{visit.url}/v1/digits/retrain/status").json()
    told = status["quality"] | {"audits": sample["audits"]}
    answer_with(page, "retrain/status", status | {"quality": told})
    page.reload()
    expect(page.locator(".audits")).to_have_text(sample["audits"]["sentence"])
    warning = "15 of 200 answers are labelled (7.5%): labels may come for wrong answers only."
    answer_with(page, "quality*", sample | {"coverage": sample["coverage"] | {"warning": warning}})
    page.reload()
    expect(page.locator(".figures + .note")).to_have_text(warning)
    assert visit.complaints == []


def test_live_quality_is_that_of_the_status_with_its_interval(open_page: Open) -> None:
    visit = open_page("")
    page = visit.page
    status = page.request.get(f"{visit.url}/v1/digits/retrain/status").json()
    newest = {"labelled": 20, "correct": 15, "accuracy": 0.75, "low": 0.531, "high": 0.888}
    told = status | {"quality": status["quality"] | {"newest": newest}}
    answer_with(page, "quality*", quality())
    answer_with(page, "retrain/status", told)
    visit.go("digits")
    expect(page.locator(".figure").first).to_have_text(
        "75.0%of the newest, 53% to 89% by 20 labelled answers"
    )
    visit.go("")
    expect(page.locator(".use-case .figure").first).to_contain_text("53% to 89% by 20 labelled answers")
    assert visit.complaints == []


def test_what_served_before_is_not_shown_as_productions_quality(open_page: Open) -> None:
    visit = open_page("")
    page, sample = visit.page, quality()
    move = {"at": at(0), "event": "promoted", "from": 3, "to": 4}
    answer_with(page, "quality*", sample | {"promotions": [*sample["promotions"], move]})
    visit.go("digits")
    expect(page.locator(".figure").first).to_have_text("–no labels yet for v4")
    assert visit.complaints == []


def test_versions_are_put_side_by_side_with_links(open_page: Open) -> None:
    visit = open_page("digits/versions")
    table = visit.page.locator(".compare")
    expect(table.locator("thead th")).to_have_text(["Metric", re.compile("v2"), "v3 "])
    expect(table.locator("tr", has_text="Accuracy").locator(".best")).to_contain_text("0.9712")
    expect(table.locator("tr", has_text="Log loss").locator(".best")).to_contain_text("0.0981")
    visit.page.get_by_label("Compare version 1").check()
    expect(table.locator("thead th")).to_have_count(4)
    expect(table.locator(".best")).to_have_count(0)  # version 1 was judged on other rows
    assert visit.page.get_by_role("link", name="MLflow", exact=True).first.get_attribute("rel") == "noopener"
    expect(visit.page.get_by_role("link", name="Prefect", exact=True)).to_have_count(3)
    assert visit.complaints == []


def test_a_report_runs_in_a_frame_of_its_own(open_page: Open) -> None:
    visit = open_page("digits/drift")
    expect(visit.page.locator(".columns tbody tr")).to_have_count(5)
    visit.page.get_by_role("button", name="Open the report").click()
    said = visit.page.frame_locator("iframe.report").locator("#report")
    expect(said).to_have_text("scripts run, origin null, no network")


def test_drift_tells_apart_what_moved_and_says_by_column_from_what_to_what(open_page: Open) -> None:
    visit = open_page("digits/drift")
    expect(visit.page.get_by_role("heading", name="Answers")).to_be_visible()
    row = visit.page.locator(".columns tr", has_text="ink")
    expect(row).to_contain_text("< 0.0001")
    expect(row).to_contain_text("median 0.31 (0.12 before)")
    expect(visit.page.locator(".columns tr", has_text="slant")).to_contain_text("missing in 9%")
    expect(visit.page.locator(".columns tr", has_text="label")).to_contain_text('"7" 31% (10% before)')
    expect(visit.page.get_by_text("3 recent and 5000 reference rows")).to_be_visible()
    visit.page.get_by_text("1 not compared").first.click()
    expect(visit.page.get_by_text("a date, which moves by itself").first).to_be_visible()
    assert visit.complaints == []


def test_nothing_of_a_check_is_cut_off_at_the_edge_of_its_card(open_page: Open) -> None:
    visit = open_page("")
    found = drift()
    found["checks"][0]["columns"]["ink"]["moved"] = f"median 0.31 (0.12 before), {'middle half 0.25, ' * 9}"
    found["checks"][1]["reason"] = "labels: labels seem to be chosen; " * 9
    answer_with(visit.page, "drift", found)
    visit.go("digits/drift")
    expect(visit.page.locator(".columns tr", has_text="ink")).to_contain_text("middle half")
    cut = "[...document.querySelectorAll('.scroll')].map((one) => one.scrollWidth - one.clientWidth)"
    assert set(visit.page.evaluate(cut)) == {0}
    assert visit.complaints == []


def test_drift_names_what_moved_where_the_data_did_not(open_page: Open) -> None:
    visit = open_page("")
    page, told = visit.page, "labels moved: label (1 of 1 column)"
    status = page.request.get(f"{visit.url}/v1/digits/retrain/status").json()
    check = {
        "at": at(0.1), "verdict": "drift", "share": 0.0, "version": 2, "moved": {"labels": ["label"]},
        "parts": {"data": "no_drift", "answers": "no_drift", "labels": "drift"}, "sentence": told,
    }  # fmt: skip
    canary = TRIED | {"version": 6, "against": 5}
    answer_with(page, "retrain/status", status | {"drift": check, "canary": canary})
    visit.go("")
    expect(page.locator(".use-case").first).to_contain_text(told)
    expect(page.locator(".use-case").first).to_contain_text("Canary version 6 is tried beside 5")
    expect(page.locator(".use-case").first).not_to_contain_text("of the columns")
    visit.go("digits")
    expect(page.locator(".card", has_text="Columns and report")).to_contain_text("Labels moved: label")
    expect(page.locator(".head")).to_contain_text("canary: version 6 answers 10%")
    assert visit.complaints == []


def test_windows_of_seconds_have_times_that_differ_and_names_that_can_be_read(open_page: Open) -> None:
    visit = open_page("")
    page, sample = visit.page, quality()
    first = datetime.fromisoformat(at(0.01)).replace(second=0)
    windows = [
        one | {
            "from": (first + timedelta(seconds=4 * place)).isoformat(),
            "to": (first + timedelta(seconds=4 * place + 3)).isoformat(),
        }
        for place, one in enumerate(sample["windows"][:14])
    ]  # fmt: skip
    moves = [
        {"at": (first + timedelta(seconds=seconds)).isoformat(), "event": event, "from": old, "to": new}
        for seconds, event, old, new in [(21, "promoted", 2, 3), (22, "rolled_back", 3, 1)]
    ]
    answer_with(page, "quality*", sample | {"windows": windows, "promotions": moves})
    visit.go("digits")
    across = page.locator(".chart text.tick[text-anchor=middle], .chart text.tick[text-anchor=start]")
    expect(page.locator(".chart circle.point")).to_have_count(14)
    ticks = across.all_text_contents()
    assert len(ticks) == len(set(ticks)) > 1
    last = "[...document.querySelectorAll('.chart line.mark, .chart text.mark')].map((one) => one.tagName)"
    assert page.evaluate(last) == ["line", "line", "text", "text"], "names over all lines"
    assert visit.complaints == []


def test_an_answer_of_the_server_is_never_markup(open_page: Open, house: psycopg.Connection[Any]) -> None:
    ledger.record(
        house,
        "spam_accounts",
        "external",
        actor="<b>x</b>",
        reason="<img src=x onerror=alert(1)>",
        to_version=1,
    )
    visit = open_page("spam_accounts/ledger")
    expect(visit.page.locator(".ledger")).to_contain_text("<img src=x onerror=alert(1)>")
    assert visit.page.locator(".ledger img, .ledger p b b").count() == 0
    assert visit.complaints == []
