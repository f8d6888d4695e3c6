"""Why a file seems to lack columns, as its maker is told."""

from __future__ import annotations

import pytest

from features.files.missing_columns import NO_HEADER, explain_missing


@pytest.mark.parametrize(
    ("present", "hint"),
    [
        (
            ["Weight", "LABEL"],
            "names differ in capitals, which count: 'Weight' for 'weight', 'LABEL' for 'label'",
        ),
        (
            ["weight^label"],
            "if '^' separates the columns, `files: {separator: \"^\"}` in the use case reads it so",
        ),
        (["wieght", "labels"], "nearly those that are needed: 'wieght' for 'weight', 'labels' for 'label'"),
        (["weight:label"], '`files: {separator: ":"}`'),
        (["Weight~Label"], '`files: {separator: "~"}`'),
        (["mass^colour"], '`files: {separator: "^"}`'),
        (["12.345", "pear"], NO_HEADER),
        (["green", "pear"], NO_HEADER),
        (["2024-05-01T10:00:00Z", "pear"], NO_HEADER),
        (["column 1", "pear"], NO_HEADER),
    ],
)
def test_what_may_be_the_reason_is_said(present: list[str], hint: str) -> None:
    hints = explain_missing(["weight", "label"], present, has_no_header=True, values=frozenset({"green"}))
    assert [one for one in hints if hint in one]
    assert len(hints) == 1


@pytest.mark.parametrize("present", [["mass", "colour"], ["mass"], []])
def test_nothing_is_guessed_of_other_names(present: list[str]) -> None:
    assert explain_missing(["weight", "label"], present, has_no_header=True) == []


def test_a_file_with_some_of_its_columns_has_a_header() -> None:
    assert explain_missing(["label"], ["weight", "2024"], has_no_header=False) == []


@pytest.mark.parametrize(
    ("present", "hints"),
    [
        (["day_minutes", "eve_minute_", "day_calls"], []),
        (
            ["day_minutes", "eve_minuts"],
            ["names are nearly those that are needed: 'eve_minuts' for 'eve_minutes'"],
        ),
        (["day_minutes", "day_minuts"], []),
    ],
)
def test_a_column_that_is_read_itself_is_meant_for_no_other(present: list[str], hints: list[str]) -> None:
    read = {"day_minutes", "eve_minutes", "eve_minute_", "day_calls"}
    assert explain_missing(["eve_minutes"], present, has_no_header=False, read=read) == hints


def test_nor_where_it_differs_in_capitals_only() -> None:
    read = {"minutes", "Minutes"}
    assert explain_missing(["minutes"], ["Minutes"], has_no_header=False, read=read) == []
