"""Trying a use case on the page: drawing, writing, filling in, and saying what is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest
from playwright.sync_api import expect

from tests.service.page.browsing import DIGITS
from tests.service.page.conftest import Open


def test_a_drawn_3_is_answered_3_and_its_label_sent_back(
    open_page: Open, house: psycopg.Connection[Any]
) -> None:
    visit = open_page("digits/try")
    visit.page.locator("canvas.pad").wait_for()
    visit.draw(DIGITS["3"])
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).to_have_text("3")
    expect(visit.page.locator(".answer")).to_contain_text("version 1")
    expect(visit.page.locator(".bars li")).to_have_count(10)
    right = visit.page.locator(".choices")
    right.get_by_role("button", name="3").click()
    expect(visit.page.locator(".feedback")).to_contain_text("Stored: 3")
    right.get_by_role("button", name="8").click()
    expect(visit.page.locator(".feedback")).to_contain_text("Corrected: 8")
    (row,) = house.execute("SELECT label, identity FROM feedback WHERE use_case = 'digits'").fetchall()
    assert row[0] == "8"
    assert row[1].startswith("p:")
    visit.page.locator(".trace summary").click()
    expect(visit.page.locator(".trace pre")).to_contain_text('"correct": false')
    assert visit.complaints == []


def test_drawings_are_centred_and_scaled_like_the_digits_that_were_learned(open_page: Open) -> None:
    visit = open_page("digits/try")
    visit.page.locator("canvas.pad").wait_for()
    small = [[(0.1 + x * 0.3, 0.6 + y * 0.3) for x, y in stroke] for stroke in DIGITS["3"]]
    made = visit.page.evaluate(
        """async ([big, small]) => {
          const { fromStrokes } = await import("/ui/parts/ink.js");
          const shapes = [[big, 28, 28], [small, 28, 28], [big, 40, 60], [[], 28, 28]];
          return shapes.map((one) => fromStrokes(...one));
        }""",
        [DIGITS["3"], small],
    )
    big, small_one, wide, nothing = made
    assert nothing is None
    assert (len(wide), len(wide[0])) == (40, 60)
    assert np.abs(np.array(big) - np.array(small_one)).max() < 0.02
    inked = [(row, column) for row, line in enumerate(big) for column, ink in enumerate(line) if ink > 0.02]
    heights = [row for row, _ in inked]
    assert 19 <= max(heights) - min(heights) + 1 <= 21
    mass = sum(map(sum, big))
    assert abs(sum(sum(line) * (row + 0.5) for row, line in enumerate(big)) / mass - 14) < 0.1
    assert abs(sum(ink * (column + 0.5) for line in big for column, ink in enumerate(line)) / mass - 14) < 0.1


@pytest.mark.parametrize("digit", sorted(DIGITS))
def test_digits_are_read(open_page: Open, digit: str) -> None:
    visit = open_page("digits/try")
    visit.page.locator("canvas.pad").wait_for()
    visit.draw(DIGITS[digit])
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).to_have_text(digit)


def test_the_pad_is_drawn_on_with_the_keyboard(open_page: Open) -> None:
    visit = open_page("digits/try")
    pad = visit.page.locator("canvas.pad")
    pad.focus()
    for key in ["ArrowUp"] * 8 + ["Space"] + ["ArrowDown"] * 16 + ["Space"]:
        visit.page.keyboard.press(key)
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".said strong")).to_have_text("1")
    pad.focus()
    visit.page.keyboard.press("Delete")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".complaint")).to_have_text("Draw something first.")


def test_a_text_is_answered_with_recommendations(open_page: Open, house: psycopg.Connection[Any]) -> None:
    visit = open_page("intents/try")
    visit.page.get_by_label("text").fill("deadlines everywhere, I am so stressed")
    visit.page.keyboard.press("Control+Enter")
    expect(visit.page.locator(".said strong")).not_to_be_empty()
    field = visit.page.get_by_label("The right label")
    field.fill("feeling_stressed")
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.page.locator(".feedback")).to_contain_text("Stored: feeling_stressed")
    assert house.execute("SELECT label FROM feedback WHERE use_case = 'intents'").fetchall() == [
        ("feeling_stressed",)
    ]
    assert visit.complaints == []


def test_labels_of_which_there_may_be_many_are_chosen(
    open_page: Open, house: psycopg.Connection[Any]
) -> None:
    visit = open_page("papers/try")
    visit.page.get_by_label("article").fill("We prove a theorem about graphs.")
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said")).to_be_visible()
    for chip in visit.page.locator(".choices button").all():
        chip.click()
    visit.page.get_by_label("Another label").fill("math.CO")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_label("Another label").fill("cs.DM")
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.page.locator(".feedback")).to_contain_text("Stored: ")
    (row,) = house.execute("SELECT label FROM feedback WHERE use_case = 'papers'").fetchall()
    assert set(row[0].split("|")) >= {"math.CO", "cs.DM"}


@pytest.mark.parametrize("name", ["plans", "spam_accounts"])
def test_a_form_is_filled_in_and_answered(open_page: Open, name: str) -> None:
    visit = open_page(f"{name}/try")
    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).not_to_be_empty()
    assert visit.complaints == []


def test_a_refused_value_is_named_at_its_field(open_page: Open) -> None:
    visit = open_page("plans/try")
    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.page.get_by_label("tenure").fill("-3")
    visit.page.get_by_role("button", name="Answer").click()
    wrong = visit.page.locator("#field-tenure-wrong")
    expect(wrong).to_have_text("got -3; allowed: a number, at least 0")
    expect(visit.page.get_by_label("tenure")).to_be_focused()
    visit.page.get_by_label("tenure").fill("3")
    visit.page.get_by_role("button", name="Answer").click()
    expect(visit.page.locator(".said strong")).not_to_be_empty()
    expect(wrong).to_be_hidden()


def test_a_field_is_labelled_by_its_title(open_page: Open) -> None:
    visit = open_page("plans/try")
    visit.page.get_by_role("button", name="Answer").wait_for()
    told = visit.page.evaluate(
        """async () => {
          const { makeField } = await import("/ui/parts/fields.js");
          const config = {
            name: "Stuck", title: "Stück", type: "number", nullable: true, categories: [], known: [],
          };
          const field = makeField(config, {}, () => {}, new AbortController().signal);
          return field.element.querySelector("label").textContent;
        }"""
    )
    assert told == "Stück optional"
