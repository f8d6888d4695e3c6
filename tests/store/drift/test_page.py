"""Evidently's page made anew: values are data and nothing else, and only its own scripts are allowed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.drift.page import JOINER, content_security_policy, sanitise_page
from store.errors import PageError
from tests.store.drift.evidently_pages import evidently_page

EVIL = (
    "</script><script>document.title='x'</script>",
    "<img src=x onerror=alert(1)>",
    "</style><style>*{display:none}</style>",
    "<!--<script>",
    '<a href="javascript:alert(1)">x</a>',
    "[x](http://elsewhere.example)",
    "a\u2028b\u2029c",
    "\\u003cscript\\u003e",
    "&lt;b&gt;",
)


class Outline(HTMLParser):
    """Tags of a page, and the text of its scripts by their types."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and not self.scripts[-1][1]:
            self.scripts[-1] = (self.scripts[-1][0], data)


def values_in(page: str) -> Any:
    (text,) = [text for kind, text in Outline(page).scripts if kind == "application/json"]
    return json.loads(text)


@pytest.mark.parametrize("value", EVIL)
def test_no_value_ends_a_script_or_begins_one(value: str) -> None:
    good = sanitise_page(evidently_page({"name": "plain"}, {"g": {"x": ["plain"]}}))
    page = sanitise_page(evidently_page({value: value}, {"g": {"x": [value]}}))
    assert Outline(page).tags == Outline(good).tags
    assert content_security_policy(page) == content_security_policy(good)
    shown = values_in(page)[1]["g"]["x"][0]
    assert shown.replace(JOINER, "") == value
    assert not re.search(r"<[a-z/!]|\]\(", shown)


@given(st.text())
def test_whatever_a_value_is_the_page_has_the_same_parts(value: str) -> None:
    page = sanitise_page(evidently_page([value], {value: value}))
    assert values_in(page) == [[text := values_in(page)[0][0]], {text: text}]
    assert text.replace(JOINER, "") == value.replace(JOINER, "")
    assert Outline(page).tags.count("script") == 4


def test_values_are_the_same_and_numbers_that_json_has_not_are_missing() -> None:
    page = sanitise_page(
        evidently_page({"x": [1, 2.5, float("nan"), float("inf"), None, True]}, {"g": {"y": "é"}})
    )
    assert values_in(page) == [{"x": [1, 2.5, None, None, None, True]}, {"g": {"y": "é"}}]


def test_a_sealed_page_stays_as_it_is() -> None:
    page = sanitise_page(evidently_page({}, {}))
    assert sanitise_page(page) == page


def test_a_note_stands_above_the_values_as_text() -> None:
    page = sanitise_page(evidently_page({}, {}), note="60 of <b>3,000</b> rows")
    assert ">60 of &lt;b&gt;3,000&lt;/b&gt; rows</p>" in page
    assert Outline(page).tags.index("p") < Outline(page).tags.index("div")
    assert sanitise_page(page) == page
    assert "<p" not in sanitise_page(evidently_page({}, {}))


PLAIN = evidently_page({}, {})


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<html>drift</html>", "no values"),
        (PLAIN.replace("additional", "other"), "no graphs"),
        (PLAIN.replace("= {}", "= alert(1)"), "values that are no JSON"),
        (PLAIN.replace("0a1b = {};\n</script>", "0a1b = {}, x = 1;\n</script>"), "more than values"),
        (PLAIN.replace("</body>", "<script>x</script></body>"), "4 scripts beside the values"),
        (evidently_page("[" * 3, {}).replace('"[[["', "[" * 100_000), "values that are no JSON"),
        (sanitise_page(PLAIN).replace("script-src ", "script-src 'unsafe-inline' "), "no policy"),
        (sanitise_page(PLAIN).replace("'none'", "*", 1), "no policy"),
    ],
)  # fmt: skip
def test_what_evidently_has_not_drawn_is_refused(page: str, reason: str) -> None:
    with pytest.raises(PageError, match=f"not as Evidently draws them: {reason}"):
        sanitise_page(page)
    with pytest.raises(PageError, match="no policy at its beginning"):
        content_security_policy(page)
