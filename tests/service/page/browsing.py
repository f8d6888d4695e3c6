"""A real Chromium that looks at the page, and collects what it complains of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

from configs.settings import CHECKOUT
from tests.conftest import NO_BROWSER

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
)  # fmt: skip
PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 860}
IMAGES = CHECKOUT / "docs" / "images"
Points = Sequence[tuple[float, float]]

DIGITS: dict[str, list[Points]] = {
    "0": [[(0.5, 0.2), (0.34, 0.3), (0.3, 0.5), (0.36, 0.72), (0.5, 0.8), (0.64, 0.7), (0.69, 0.5),
           (0.63, 0.28), (0.5, 0.2)]],
    "1": [[(0.5, 0.18), (0.5, 0.5), (0.5, 0.82)]],
    "2": [[(0.33, 0.32), (0.42, 0.2), (0.58, 0.2), (0.66, 0.33), (0.6, 0.5), (0.42, 0.66), (0.3, 0.8),
           (0.5, 0.8), (0.7, 0.79)]],
    "3": [[(0.33, 0.25), (0.47, 0.18), (0.62, 0.24), (0.64, 0.37), (0.56, 0.46), (0.44, 0.49), (0.58, 0.53),
           (0.67, 0.64), (0.62, 0.77), (0.47, 0.83), (0.32, 0.77)]],
    "4": [[(0.36, 0.2), (0.33, 0.42), (0.36, 0.52), (0.52, 0.52), (0.66, 0.48)],
          [(0.64, 0.22), (0.62, 0.5), (0.6, 0.82)]],
    "7": [[(0.3, 0.24), (0.5, 0.23), (0.68, 0.22), (0.6, 0.42), (0.5, 0.62), (0.44, 0.82)]],
}  # fmt: skip
"""Strokes as people make them, on a pad of 1 by 1."""


@dataclass
class Visit:
    """One page, and what went wrong on it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """Requests to other servers."""

    def go(self, place: str = "") -> None:
        """Open a view."""
        self.page.goto(f"{self.url}/ui#/{place}")

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.locator(selector).inner_text()

    def draw(self, strokes: Sequence[Points]) -> None:
        """Draw on the pad with the mouse."""
        box = self.page.locator("canvas.pad").bounding_box()
        assert box is not None
        for stroke in strokes:
            places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            self.page.mouse.move(*places[0])
            self.page.mouse.down()
            for place in places[1:]:
                self.page.mouse.move(*place, steps=4)
            self.page.mouse.up()

    def sideways(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def keep(self, name: str, *, whole: bool = True, of: Locator | None = None) -> None:
        """Keep a picture for the documentation, of the page or of one element, if pictures are wanted."""
        if os.environ.get("RATCHET_SCREENSHOTS"):
            folder = Path(os.environ.get("RATCHET_SCREENSHOTS_IN", IMAGES))
            folder.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(600)
            if of is not None:
                of.screenshot(path=folder / f"{name}.png")
                return
            if whole:
                self.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
                self.page.wait_for_timeout(200)
            self.page.screenshot(path=folder / f"{name}.png", full_page=whole)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; a test without one is skipped."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """A page in a context of its own."""
    context = browser.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
    page = context.new_page()
    page.set_default_timeout(15_000)
    visit = Visit(page, url)
    page.on("console", lambda message: _note(visit, message))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("request", lambda request: _outside(visit, request.url))
    yield visit
    context.close()


def _note(visit: Visit, message: Any) -> None:
    if message.type in ("error", "warning"):
        visit.complaints.append(f"{message.text} ({message.location.get('url', '')})")


def _outside(visit: Visit, url: str) -> None:
    if not url.startswith((visit.url, "data:", "blob:")):
        visit.outside.append(url)
