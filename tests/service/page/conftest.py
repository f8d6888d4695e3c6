"""A service that the page's tests share, and a browser that looks at it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from store.database.connection import connect
from tests.conftest import TEMPLATE
from tests.databases import with_database
from tests.service.conftest import USE_CASES
from tests.service.page.browsing import Visit, chromium, visiting
from tests.service.page.reading import make_reader
from tests.service.page.samples import answer_with_samples
from tests.service.servers import Server, put_in_cache

Open = Callable[..., Visit]

expect.set_options(timeout=30_000)  # machines are busy; what comes in time does not wait for it


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def house_url(postgres: str) -> Iterator[str]:
    """A database for all tests here."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield with_database(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="package")
def server(browser: Browser, house_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: ARG001
    """A service that reads digits; its other models are made up, and MLflow is away."""
    home = tmp_path_factory.mktemp("page") / "home"
    make_reader(home / "cache" / "models" / "digits" / "1", USE_CASES["digits"])
    for use_case in USE_CASES.values():
        put_in_cache(home, use_case, 1, serving=1)
        put_in_cache(home, use_case, 2)
    with Server(home, house_url) as running:
        yield running


@pytest.fixture
def house(house_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the database of the service."""
    with connect(house_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens the page at a view; nothing may be asked of another server."""
    opened = []

    def open_at(place: str = "", **options: Any) -> Visit:
        context = visiting(browser, server.url, **options)
        visit = context.__enter__()
        opened.append((context, visit))
        answer_with_samples(visit.page)
        visit.go(place)
        return visit

    yield open_at
    for context, visit in opened:
        context.__exit__(None, None, None)
        assert visit.outside == []
