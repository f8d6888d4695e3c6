"""Trying a use case of pictures in colour on the page: choosing a file, and what is sent of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from configs.schema import UseCase
from features.records.contract import RecordContract
from tests.features.records.pictures import odd
from tests.service.answers.test_pictures import PHOTOS, serve_photos
from tests.service.page.browsing import PHONE, Visit, visiting
from tests.service.servers import Server


@pytest.fixture(scope="module")
def photos(browser: Browser, house_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: ARG001
    with serve_photos(tmp_path_factory.mktemp("photos") / "home", house_url) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, photos: Server) -> Iterator[Visit]:
    with visiting(browser, photos.url) as opened:
        opened.go("photos/try")
        yield opened
        assert (opened.complaints, opened.outside) == ([], [])


def choose(visit: Visit, name: str, data: bytes, kind: str) -> None:
    visit.page.locator("input[type=file]").set_input_files({"name": name, "mimeType": kind, "buffer": data})


def sent_by(visit: Visit) -> Any:
    """The record that is sent when the answer is asked for."""
    with visit.page.expect_request("**/predict") as asked:
        visit.page.get_by_role("button", name="Answer").click()
    return json.loads(asked.value.post_data or "")["records"][0]


def test_a_photograph_is_sent_as_it_is_and_answered(visit: Visit) -> None:
    data = odd.with_orientation(6)
    choose(visit, "holiday.jpg", data, "image/jpeg")
    expect(visit.page.locator(".drawing .note")).to_have_text("holiday.jpg, 60 × 40")  # upright
    assert sent_by(visit) == {"photo": "data:image/jpeg;base64," + base64.b64encode(data).decode()}
    expect(visit.page.locator(".said strong")).to_be_visible()
    expect(visit.page.locator(".bars li")).to_have_count(3)
    seen = visit.page.evaluate(
        "[...document.querySelector('canvas.seen').getContext('2d').getImageData(0, 0, 32, 32).data]"
    )
    contract = RecordContract(UseCase.model_validate(PHOTOS).record)
    levels = contract.check_records([{"photo": {"bytes": data}}]).all_or_raise()["photo"][0]
    shown = np.array(seen).reshape(32, 32, 4)[..., :3]
    assert np.abs(shown.astype(int) - levels).mean() < 6
    visit.keep("try-photos")


def test_a_kind_that_the_service_does_not_take_is_sent_as_the_browser_sees_it(visit: Visit) -> None:
    choose(visit, "moving.gif", odd.saved(odd.halves(), "GIF"), "image/gif")
    assert sent_by(visit)["photo"].startswith("data:image/png;base64,")
    expect(visit.page.locator(".said strong")).to_be_visible()


def test_what_is_no_picture_is_told_and_a_refusal_stands_at_the_field(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".try-form")).to_contain_text("Choose a picture first.")
    choose(visit, "notes.png", b"hello", "image/png")
    expect(visit.page.locator(".drawing .note")).to_have_text(
        "notes.png is no picture that this browser reads"
    )


def test_a_picture_is_kept_while_other_views_are_looked_at_and_cleared(visit: Visit) -> None:
    choose(visit, "red.png", odd.READ["rgb-png"], "image/png")
    expect(visit.page.locator(".picked")).to_be_visible()
    visit.go("photos")
    visit.page.locator(".picked").wait_for(state="detached")
    visit.go("photos/try")
    expect(visit.page.locator(".picked")).to_be_visible()
    visit.page.get_by_role("button", name="Clear").click()
    expect(visit.page.locator(".picked")).to_be_hidden()


def test_it_fits_on_a_phone(browser: Browser, photos: Server) -> None:
    with visiting(browser, photos.url, viewport=PHONE) as visit:
        visit.go("photos/try")
        choose(visit, "large.jpg", odd.READ["large"], "image/jpeg")
        expect(visit.page.locator(".picked")).to_be_visible()
        assert visit.sideways() == 0
