"""The page on a whole stack: a digit is read, the world changes, a retrain is pressed, and all is seen.

With `RATCHET_SCREENSHOTS=1` it takes the pictures of the documentation on its way.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from playwright.sync_api import Browser, expect

from configs.settings import CHECKOUT, Settings
from features.files.datasets import load_dataset
from features.records.contract import RecordContract
from tests.e2e.stacks import running_stack
from tests.service.conftest import USE_CASES
from tests.service.page.browsing import DESK, DIGITS, PHONE, Visit, visiting

pytestmark = pytest.mark.slow
PARTS = ("data", "answers", "labels")
"""What drift of `digits` is looked for in."""
NAMES = ("digits", "intents", "plans")
TRAINING = 600_000
"""Milliseconds that a run may take."""


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("configs")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=NAMES) as settings:
        yield settings


@pytest.fixture(scope="module")
def client(stack: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.service_url, timeout=60) as opened:
        yield opened


def labelled(name: str, rows: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The newest rows of the packaged data, as records and their labels."""
    use_case = USE_CASES[name]
    assert use_case.data.dataset is not None
    table = load_dataset(use_case.data.dataset)
    table = table.take(np.random.default_rng(7).permutation(len(table))[:rows])
    contract = RecordContract(use_case.record)
    columns = contract.check_table(table).all_or_raise()
    labels = [str(label) for label in table[use_case.target.column].to_pylist()]
    if use_case.kind == "image":
        return [{"image": image.tolist()} for image in columns["image"]], labels
    return [orjson.loads(one) for one in contract.to_json(columns)], labels


def inverted(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dark ink on a bright ground."""
    return [{"image": (255 - np.array(one["image"])).tolist()} for one in records]


def send(client: httpx.Client, name: str, records: list[dict[str, Any]], labels: list[str]) -> None:
    """Ask and tell the truth, in small requests over a while."""
    for start in range(0, len(records), 10):
        body = {"records": records[start : start + 10], "labels": labels[start : start + 10]}
        client.post(f"/v1/{name}/predict", json=body).raise_for_status()
        time.sleep(0.1)


def train_first(client: httpx.Client, name: str) -> None:
    """A first model of the packaged data."""
    client.post(f"/v1/{name}/retrain").raise_for_status()
    until = time.monotonic() + TRAINING / 1000
    while client.get(f"/v1/{name}/retrain/status").json()["version"] is None:
        assert time.monotonic() < until
        time.sleep(0.5)


def check_drift(stack: Settings, name: str) -> None:
    environ = {
        "RATCHET_HOME": str(stack.home), "RATCHET_PORT": str(stack.port),
        "RATCHET_MLFLOW_PORT": str(stack.mlflow_port), "RATCHET_PREFECT_PORT": str(stack.prefect_port),
        "RATCHET_USE_CASES": ",".join(NAMES),
        "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    ratchet = Path(sys.executable).with_name("ratchet")
    done = subprocess.run(
        [ratchet, "drift", name], env=os.environ | environ, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_from_a_first_drawing_to_a_rollback(
    stack: Settings, client: httpx.Client, browser: Browser
) -> None:
    for name in NAMES:
        train_first(client, name)
    records, labels = labelled("digits", 900)
    send(client, "plans", *labelled("plans", 300))
    send(client, "digits", records[:300], labels[:300])
    with visiting(browser, stack.service_url) as visit:
        draw_a_digit(visit)
        try_the_others(visit)
        changed = inverted(records)
        send(client, "digits", changed[300:600], labels[300:600])
        check_drift(stack, "digits")
        retrain(visit)
        send(client, "digits", changed[600:], labels[600:])
        look_around(visit)
        roll_back(visit)
        assert visit.complaints == []
        assert visit.outside == []


def draw_a_digit(visit: Visit) -> None:
    """The model that the loop has trained reads it."""
    visit.go("digits/try")
    visit.page.locator("canvas.pad").wait_for()
    visit.draw(DIGITS["3"])
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).to_have_text("3")
    visit.page.locator(".choices").get_by_role("button", name="3").click()
    expect(visit.page.locator(".feedback")).to_contain_text("Stored: 3")
    visit.keep("try-digits")


def try_the_others(visit: Visit) -> None:
    visit.go("intents/try")
    visit.page.get_by_label("text").fill("deadlines everywhere and my shoulders are up at my ears")
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).to_have_text("feeling_stressed")
    visit.keep("try-intents")
    visit.go("plans/try")
    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.page.get_by_label("tenure").fill("64")
    visit.page.get_by_label("payment method").fill("Electronic check")
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).not_to_be_empty()
    visit.keep("try-plans")


def retrain(visit: Visit) -> None:
    """Pressed, followed, and the new version is there without a reload."""
    page = visit.page
    visit.go("digits")
    expect(page.locator(".head")).to_contain_text("version 1 serves")
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Retrain").click()
    expect(page.locator(".run .sentence")).to_contain_text("epoch 4", timeout=TRAINING)
    visit.keep("retrain")
    expect(page.locator(".verdict")).to_contain_text("Version 2 is production.", timeout=TRAINING)
    expect(page.locator(".head")).to_contain_text("version 2 serves")
    assert page.evaluate("window.stayed")


def look_around(visit: Visit) -> None:
    """Every view has what it is for, in light and dark, on a desk and a phone."""
    page = visit.page
    visit.go("digits")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".chart text.mark").last).to_contain_text("v2", timeout=30_000)
    expect(page.locator(".figures b").first).to_have_text(re.compile(r"^([789]\d|100)\."), timeout=30_000)
    visit.keep("digits")
    visit.go("")
    expect(page.locator(".use-case")).to_have_count(len(NAMES))
    expect(page.locator(".use-case .figure b").first).to_contain_text("%")
    visit.keep("overview")
    visit.go("digits/versions")
    expect(page.locator(".compare thead th")).to_have_count(3)
    expect(page.get_by_role("link", name="MLflow", exact=True).first).to_be_visible()
    visit.keep("versions")
    visit.go("digits/drift")
    expect(page.locator("table.columns")).to_have_count(len(PARTS))
    expect(page.locator("table.columns").first).to_contain_text("yes")
    visit.keep("drift")
    page.get_by_role("button", name="Open the report").click()
    expect(page.frame_locator("iframe.report").get_by_text("Drift").first).to_be_visible(timeout=30_000)
    page.locator("iframe.report").scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    visit.keep("report", whole=False)
    page.emulate_media(color_scheme="dark")
    visit.go("digits")
    page.locator(".chart").wait_for()
    visit.keep("dark")
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="light")
    page.locator(".chart").wait_for()
    assert visit.sideways() == 0
    visit.keep("phone")
    page.set_viewport_size(DESK)


def roll_back(visit: Visit) -> None:
    """With a reason, which the ledger keeps."""
    page = visit.page
    visit.go("digits/ledger")
    page.get_by_role("button", name="Roll back…").click()
    page.get_by_label("Why").fill("to see version 1 again")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("dialog")).to_contain_text("Version 1 is production again.")
    page.locator("dialog").get_by_role("button", name="Close").click()
    expect(page.locator(".head")).to_contain_text("version 1 serves")
    expect(page.locator(".ledger")).to_contain_text("to see version 1 again")
    visit.keep("history")
