"""Whatever a table holds, its draft is a use case that can be read, or it is refused in a sentence."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.loading import load_use_case
from features.errors import FeatureError
from flows.drafting.declarations import read_declared
from flows.drafting.document import check, document, mapping, write
from flows.drafting.draft import draft
from flows.drafting.errors import CannotDraft
from flows.drafting.wishes import Wishes
from tests.flows.drafting.files import NAME, NOW, checked, drafted, table, write_csv

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
CELLS = [
    st.integers(-5, 5).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=True).map(repr),
    st.sampled_from(["yes", "no", "true", "FALSE", "0", "1", "", "NA", "?", "-", "null", "~", "1e5", "0x1"]),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from(["1,5", "1.234,5", "1 000", "$5", "5%", "01/05/2024", "May 3, 2024", "20240501"]),
    st.lists(st.sampled_from(["a", "b", "c: d", "#e"]), max_size=3).map("|".join),
    TEXTS,
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[str]], str]:
    """Columns of any texts under any names, and the name of the target."""
    rows = draw(st.one_of(st.integers(0, 60), st.integers(20, 60)))
    names = draw(st.lists(TEXTS, min_size=1, max_size=6, unique=True))
    columns = {}
    for name in names:
        values = draw(st.lists(draw(st.sampled_from(CELLS)), min_size=1, max_size=8))
        order = draw(st.randoms(use_true_random=False))
        columns[name] = [order.choice(values) for _ in range(rows)]
    if draw(st.booleans()):
        target = draw(st.sampled_from(["label", "spam?", "Ziel"]))
        columns[target] = [draw(st.sampled_from(["a", "b", "no"])) for _ in range(rows)]
        return columns, target
    return columns, draw(st.sampled_from(names))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=tables(), separator=st.sampled_from(",;\t"))
def test_any_table_gives_a_use_case_or_a_sentence(
    tmp_path: Path, made: tuple[dict[str, list[str]], str], separator: str
) -> None:
    columns, target = made
    path = write_csv(tmp_path / "any.csv", columns, separator)
    try:
        found = draft(NAME, read_declared(path, target), target, Wishes(), NOW)
        text = document(found, "any.csv")
        use_case, rows = check(text, found)
    except (CannotDraft, FeatureError) as refused:
        assert str(refused)
        return
    assert yaml.safe_load(text) == mapping(found, "any.csv")
    assert [one.source_column for one in use_case.record.fields] == [one.column for one in found.fields]
    taken = {one.column for one in found.fields} | {one.column for one in found.left_out} | {target}
    assert taken == set(found.sample.columns)
    assert rows.refused < rows.rows


def test_the_file_says_why(tmp_path: Path) -> None:
    columns = table(customer_id=[f"c{place % 40}" for place in range(200)], constant=["x"] * 200)
    made, _, _ = checked(write_csv(tmp_path / "rows.csv", columns))
    text = document(made, "rows.csv")
    told = ["every row was looked at", "constant: constant: 'x' in every row", "40 of them in 200 rows"]
    assert [words for words in [*told, 'classes: ["no", "yes"]'] if words not in text] == []
    assert max(len(line) for line in text.splitlines() if "fields" not in line and "- {" not in line) <= 110


@pytest.mark.parametrize("gap", [True, False])
def test_how_misspelt_fields_are_refused_is_said_where_one_goes_unnoticed(tmp_path: Path, gap: bool) -> None:
    sizes = ["" if gap and place % 9 == 0 else str(place % 17 / 2) for place in range(200)]
    made, _, _ = checked(write_csv(tmp_path / "rows.csv", table(size=sizes)))
    text = document(made, "rows.csv")
    commented = "# serving: {unknown_fields: refuse}"
    assert (commented in text.splitlines()) is gap
    assert ("a field that may be missing (size) counts as missing" in text.replace("\n# ", " ")) is gap
    if gap:
        path = tmp_path / f"{NAME}.yaml"
        path.write_text(text.replace(commented, commented.removeprefix("# ")), encoding="utf-8")
        assert load_use_case(path).serving.unknown_fields == "refuse"


def test_the_file_is_found_from_its_folder(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", table())
    made, _, _ = checked(path)
    place = tmp_path / "configs" / f"{NAME}.yaml"
    place.parent.mkdir()
    place.write_text(document(made, "../rows.csv"), encoding="utf-8")
    use_case = load_use_case(place)
    assert use_case.data.path is not None
    with Path(use_case.data.path).open(encoding="utf-8", newline="") as file:
        header: list[Any] = next(csv.reader(file))
    assert header == ["size", "label"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotDraft, match=r"cannot be written \(No such file or directory\); --out DIR"):
        write("name: x\n", tmp_path / "gone" / "x.yaml", force=False)


def test_rows_without_a_label_go_to_quarantine_in_both_tellings(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", {**table(60), "label": ["a", "b", ""] * 20})
    made = drafted(path)
    assert "20 rows have no label: they go to quarantine" in document(made, path.name)
    assert made.title == "Drafted: label"
