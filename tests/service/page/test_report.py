"""Evidently's page of evil names and values, as a browser opens it: it draws, and nothing in it runs."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, Route, expect

from configs.schema import DriftConfig
from models.drift import page as drift_page
from models.drift.judging import compare
from store.drift.page import content_security_policy, sanitise_page
from tests.service.page.browsing import Visit, visiting
from tests.service.page.conftest import Open
from tests.store.drift.evidently_pages import evidently_page

SITE = "http://report.example"
ELSEWHERE = "http://elsewhere.example"
MARK = "document.title='ran'"
EVIL = (
    f"</script><script>{MARK};location='{ELSEWHERE}/gone'</script>",
    f'<img src=x onerror="{MARK}"><img src={ELSEWHERE}/i.png>',
    "</style><style>*{display:none}</style>",
    "<!--<script>",
    f'<a href="javascript:{MARK}">one</a>',
    f'<a href="{ELSEWHERE}/link">two</a>',
    f"[three]({ELSEWHERE}/link) ![four]({ELSEWHERE}/i.png)",
    "a\u2028b\u2029c",
    "__proto__",
    "<b>bold</b>",
)
CONFIG = DriftConfig(reference_rows=300, current_rows=200, min_rows=100)


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Each evil text as the name of a column, half of them with numbers, half with the evil texts."""
    random = np.random.default_rng(seed)
    columns = {
        name: random.normal(seed, 1, rows)
        if at % 2
        else pd.Series(random.choice(EVIL[seed:], rows), dtype=object)
        for at, name in enumerate(EVIL)
    }
    return pd.DataFrame(columns | {"never changes": np.ones(rows)})


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Evidently writes by itself, which earlier releases kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift_page, "sanitise_page", lambda page, **_note: page)
        _, path = compare(
            CONFIG, frame(300, 0), frame(200, 1), html=tmp_path_factory.mktemp("e") / "d.html", seed=1
        )
    assert path is not None
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept now."""
    _, path = compare(
        CONFIG, frame(300, 0), frame(200, 1), html=tmp_path_factory.mktemp("n") / "d.html", seed=1
    )
    assert path is not None
    return path


@contextmanager
def opened(browser: Browser, content: str, policy: str | None = None) -> Iterator[Visit]:
    """The content as a page of its own, with a policy in its headers or none."""
    headers = {"content-type": "text/html; charset=utf-8"}
    if policy is not None:
        headers["content-security-policy"] = policy
    with visiting(browser, SITE) as visit:

        def answer(route: Route) -> None:
            route.fulfill(body=content, headers=headers)

        visit.page.route(f"{SITE}/**", answer)
        visit.page.goto(f"{SITE}/report")
        yield visit


def look_through(report: Page | FrameLocator) -> None:
    """It draws, and shows every name and value as it is."""
    for text in EVIL:
        if text.isprintable():
            shown = text.replace("<", "<\u2060").replace("](", "]\u2060(")
            expect(report.locator("td").get_by_text(shown, exact=True)).to_have_count(1)
    before = report.locator("svg.main-svg").count()
    row = report.locator("tr").filter(
        has=report.locator("td").get_by_text(EVIL[4].replace("<", "<\u2060"), exact=True)
    )
    row.get_by_role("button").first.click()
    expect(report.locator("svg.main-svg").nth(before + 1)).to_be_visible()
    labels = report.locator("svg.main-svg .xtick text")
    expect(labels.filter(has_text='<\u2060a href="javascript:')).to_have_count(1)
    assert report.locator("svg.main-svg a").count() == 0
    assert report.locator("img").count() == 0


def test_what_evidently_writes_by_itself_runs_its_values(browser: Browser, earlier: str) -> None:
    with opened(browser, earlier) as visit:
        visit.page.wait_for_timeout(500)
        assert visit.outside == [f"{ELSEWHERE}/gone"] * len(visit.outside) != []


@pytest.mark.parametrize("from_earlier", [False, True], ids=["new", "earlier"])
def test_opened_by_itself_it_draws_and_nothing_runs(
    browser: Browser, page: Path, earlier: str, from_earlier: bool
) -> None:
    content = sanitise_page(earlier) if from_earlier else page.read_text(encoding="utf-8")
    with opened(browser, content, f"sandbox allow-scripts; {content_security_policy(content)}") as visit:
        look_through(visit.page)
        assert visit.page.title() == "Drift"
        assert (visit.complaints, visit.outside) == ([], [])


def test_a_file_that_was_saved_is_as_safe(browser: Browser, page: Path) -> None:
    with visiting(browser, page.as_uri()) as visit:
        visit.page.goto(page.as_uri())
        look_through(visit.page)
        assert (visit.page.title(), visit.page.url) == ("Drift", page.as_uri())
        assert (visit.complaints, visit.outside) == ([], [])


def test_in_a_frame_such_as_mlflow_makes(browser: Browser, page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    around = f'<title>MLflow</title><iframe sandbox="allow-scripts" srcdoc="{html.escape(content)}"></iframe>'
    with opened(browser, around) as visit:
        look_through(visit.page.frame_locator("iframe"))
        assert visit.page.title() == "MLflow"
        assert (visit.complaints, visit.outside) == ([], [])


def test_in_the_frame_of_the_page(open_page: Open, page: Path) -> None:
    visit = open_page("digits/drift")
    content = page.read_text(encoding="utf-8")
    visit.page.route(
        "**/v1/digits/drift/report", lambda route: route.fulfill(body=content, content_type="text/html")
    )
    visit.page.get_by_role("button", name="Open the report").click()
    look_through(visit.page.frame_locator("iframe.report"))
    assert visit.complaints == []


@pytest.mark.parametrize("kind", ["sanitised", "without a policy"])
def test_the_frame_of_the_page_runs_no_other_script(open_page: Open, kind: str) -> None:
    """The policy of the written page holds beside that of the frame, which allows inline scripts."""
    good = sanitise_page(evidently_page({"name": "drawn"}, {}))
    added = "<script>document.getElementById('report').textContent = 'ran'</script></body>"
    content = (
        good.replace("</body>", added) if kind == "sanitised" else f"<!doctype html><p id=report></p>{added}"
    )
    visit = open_page("digits/drift")
    visit.page.route(
        "**/v1/digits/drift/report", lambda route: route.fulfill(body=content, content_type="text/html")
    )
    visit.page.get_by_role("button", name="Open the report").click()
    report = visit.page.frame_locator("iframe.report").locator("#report")
    if kind == "sanitised":
        expect(report).to_contain_text("drawn")
    visit.page.wait_for_timeout(300)
    assert visit.page.frame_locator("iframe.report").get_by_text("ran", exact=True).count() == 0
    assert len(visit.complaints) == (1 if kind == "sanitised" else 0)
