"""What the suite says of itself at its end."""

from __future__ import annotations

from tests.conftest import NO_BROWSER, browser_sentence


def test_tests_without_a_browser_are_counted_apart_from_others_that_were_skipped() -> None:
    skips = [f"('tests/x.py', {line}, 'Skipped: {NO_BROWSER}')" for line in range(42)]
    other = "('tests/y.py', 1, 'Skipped: only root runs the database as somebody else')"
    assert browser_sentence([*skips, other]) == "42 tests were skipped: no browser (chromium) was found"
    assert browser_sentence([skips[0]]) == "1 test was skipped: no browser (chromium) was found"


def test_nothing_is_said_where_no_test_wanted_a_browser() -> None:
    assert browser_sentence([]) is None
    assert browser_sentence(["('tests/y.py', 1, 'Skipped: another reason')"]) is None
