"""Replays on the page: policies beside each other, their accuracy by period, and what to do without one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from store.replays import attempting, replay_folder, write_document
from tests.service.page.browsing import PHONE
from tests.service.page.conftest import Open
from tests.service.page.samples import answer_with
from tests.service.servers import Server
from tests.store.test_replays import ONE, TWO, document, policy

PERIODS = 40
PROMOTED = (3, 7, 12, 13, 21, 30)


@pytest.fixture
def folder(server: Server) -> Iterator[Path]:
    """Where the service finds the replays of plans."""
    place = replay_folder(server.log.parent, "plans")
    yield place
    shutil.rmtree(place, ignore_errors=True)


def curve(level: float, fall: float, seed: int) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, 0.02, PERIODS)
    accuracy = np.clip(level - fall * np.linspace(0, 1, PERIODS) + noise, 0, 1)
    return [round(float(one), 4) for one in accuracy]


def replayed(**changes: Any) -> dict[str, Any]:
    """Forty weeks with every policy, one of which a file describes."""
    notes = [f"blend: worse: gain {0.001 * place:.4f}" for place in range(PERIODS - 1)]
    each = tuple(range(1, PERIODS))
    window = policy(*curve(0.87, 0.05, 4), promoted_at=each) | {"worse": 17, "harmful": 3, "fit_seconds": 9.2}
    full = policy(*curve(0.86, 0.07, 2), promoted_at=each) | {"worse": 16, "harmful": 2, "fit_seconds": 31.7}
    default = policy(*curve(0.86, 0.04, 1), promoted_at=PROMOTED)
    policies = {
        "default": default | {"notes": notes, "worse": 2, "harmful": 1, "fit_seconds": 52.4},
        "bolder": policy(*curve(0.85, 0.05, 9), promoted_at=each[::3]) | {"worse": 4, "fit_seconds": 52.4},
        "never": policy(*curve(0.84, 0.2, 2)) | {"fit_seconds": 0.2},
        "always_full": full,
        "always_window": window,
        "best_in_hindsight": window,
        "river_arf": policy(*curve(0.85, 0.06, 5)) | {"fit_seconds": 74.0},
        "river_hat": policy(*curve(0.82, 0.06, 6)) | {"fit_seconds": 6.1},
        "bound": policy(*curve(0.89, 0.02, 7), promoted_at=each[::2]) | {"fit_seconds": 40.9},
    }
    starts = [
        str(np.datetime64("2025-09-01", "us") + np.timedelta64(7 * week, "D")) for week in range(PERIODS)
    ]
    about = {"use_case": "plans", "source": "/data/plans.csv", "periods": PERIODS, "rows": 20_000}
    return document(**about, first_rows=4000, starts=starts, policies=policies, **changes)


def card_of(page: Page, title: str) -> Locator:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_policies_stand_beside_each_other_with_the_curves(open_page: Open, folder: Path) -> None:
    write_document(folder / ONE, replayed())
    visit = open_page("plans/replays", viewport={"width": 1280, "height": 1700})
    table = card_of(visit.page, "Policies").locator("table")
    expect(table.locator("tbody th")).to_have_count(9)
    expect(table.locator("tr.chosen")).to_contain_text("defaultthe loop as it is configured")
    expect(table.locator("tr.chosen td").nth(2)).to_have_text("6")
    expect(table.locator("td.best")).to_have_count(1)
    chart = card_of(visit.page, "Accuracy by period").locator(".chart")
    expect(chart.locator("path.line")).to_have_count(1)
    expect(chart.locator("path.curve")).to_have_count(7)  # the best in hindsight is one of them
    expect(chart.locator("path.move")).to_have_count(len(PROMOTED))
    expect(chart.locator("path.move title").nth(0)).to_have_text(
        re.compile("^promoted before period 4, from ")
    )
    visit.keep("replay", of=visit.page.locator(".view"))
    assert visit.complaints == []


def test_a_policy_is_hidden_by_keyboard_and_a_period_is_told(open_page: Open, folder: Path) -> None:
    write_document(folder / ONE, replayed())
    visit = open_page("plans/replays")
    card = card_of(visit.page, "Accuracy by period")
    chart, entry = card.locator(".chart"), card.get_by_role("button", name="river_hat")
    entry.press("Enter")
    expect(entry).to_have_attribute("aria-pressed", "false")
    expect(chart.locator("path.curve")).to_have_count(6)
    expect(chart).to_have_attribute("aria-label", re.compile("in 40 periods, mean of 5. Left and right"))
    card.get_by_label("mean of 5 periods").uncheck()
    chart.focus()
    visit.page.keyboard.press("ArrowLeft")
    told = replayed()["policies"]
    last = {name: f"{100 * one['by_period'][-1]:.1f}%" for name, one in told.items()}
    expect(chart.locator(".told")).to_contain_text(f"{last['default']}default, period 40, from 1 Jun")
    expect(chart.locator(".told .sr")).to_contain_text(f"bolder {last['bolder']}, never {last['never']}")
    expect(card.get_by_role("button", name="never")).to_contain_text(last["never"])
    expect(chart.locator(".told .sr")).not_to_contain_text("river_hat")
    for _ in range(9):
        visit.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".told")).to_contain_text("period 31, from 30 Mar, promoted before")
    chart.blur()
    expect(card.get_by_role("button", name="never")).to_have_text("never")
    assert visit.complaints == []


def test_it_fits_a_phone_in_the_dark(open_page: Open, folder: Path) -> None:
    write_document(folder / ONE, replayed())
    visit = open_page("plans/replays", viewport=PHONE, color_scheme="dark")
    card = card_of(visit.page, "Accuracy by period")
    expect(card.locator("path.curve")).to_have_count(7)
    card.get_by_text("The numbers").click()
    expect(card.locator("tbody tr")).to_have_count(PERIODS)
    expect(card.locator("tbody tr").nth(1)).to_contain_text("blend: worse: gain 0.0000")
    visit.keep("replay-phone")
    assert visit.sideways() == 0
    assert visit.complaints == []


def test_another_replay_is_chosen_and_damaged_ones_are_told(open_page: Open, folder: Path) -> None:
    write_document(folder / ONE, replayed())
    other = {"use_case": "plans", "starts": [None, None], "left_out": {"river_arf": "it has a text"}}
    write_document(folder / TWO, document(**other, source="earlier.csv", delay=1, at="2026-10-01T00:00:00Z"))
    (folder / ("0" * 16)).mkdir()
    (folder / ("0" * 16) / "replay.json").write_text('{"use')
    (folder / ("1" * 16) / "fits").mkdir(parents=True)
    with pytest.raises(ValueError, match="diverged"), attempting(folder / ("2" * 16), "ratchet replay plans"):
        raise ValueError("the fit diverged")
    visit = open_page("plans/replays")
    failed = visit.page.locator(".failed")
    expect(failed).to_contain_text(
        "the fit diverged. Once that is mended, ratchet replay plans tries it again"
    )
    box = visit.page.get_by_label("Which replay")
    expect(box.locator("option")).to_have_count(2)
    box.select_option(TWO)
    expect(card_of(visit.page, "Policies")).to_contain_text("river_arf is left out: it has a text")
    chart = card_of(visit.page, "Accuracy by period").locator(".chart")
    expect(chart.locator("path.curve")).to_have_count(1)
    expect(chart.locator("text.tick").last).to_have_text("2")  # no times: numbers of periods
    expect(visit.page.locator(".complaint:not(.failed)")).to_contain_text(
        f"{'0' * 16} is damaged: replay.json: Invalid JSON"
    )
    expect(visit.page.locator(".note").filter(has_text="1" * 16)).to_contain_text("0 fits made")
    assert visit.complaints == []


def test_without_a_replay_it_is_said_how_to_make_one(open_page: Open, folder: Path) -> None:
    visit = open_page("plans/replays")
    expect(visit.page.locator(".view")).to_contain_text("ratchet replay plans --data FILE --periods 1w")
    expect(visit.page.locator(".card")).to_have_count(1)
    write_document(folder / ONE, replayed())
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # asks at once
    expect(visit.page.locator("path.curve")).to_have_count(7)
    answer_with(
        visit.page,
        "replays",
        {"use_case": "plans", "replays": [], "unended": [], "failed": [], "damaged": []},
    )
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(visit.page.locator(".empty")).to_contain_text("None yet")
    expect(visit.page.locator(".card")).to_have_count(1)
    assert visit.complaints == []
