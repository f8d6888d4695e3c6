"""Answers for whole files: every row, in order, in any kind of file, and going on where it was cut off."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import features.files.readers.json_rows
import features.files.readers.parquet
from configs.schema import UseCase
from configs.security import umask
from configs.security.umask import set_private_umask
from features.errors import MissingColumns, SourceError
from features.files.outputs import check_output, join_parts
from features.records.contract import Columns
from features.records.example import example_record
from flows.batch.parts import Parts, begun_version, parts_folder
from flows.batch.predict_file import FileProgress, predict_file
from flows.cli.commands.predictions import default_output
from models.versions.predictor import Answers, Predictor
from tests.service.conftest import USE_CASES
from tests.service.tiny import make_artifact

PLANS = USE_CASES["plans"]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(make_artifact(tmp_path_factory.mktemp("model") / "1", PLANS, seed=1))


def rows_of(count: int, use_case: UseCase = PLANS) -> list[dict[str, Any]]:
    """Rows as a file has them, with an id and values that differ."""
    names = {field.name: field.source_column for field in use_case.record.fields}
    number = next(field for field in use_case.record.fields if field.type == "number")
    low, high = number.minimum or 0, number.maximum or 60
    record = {names[key]: value for key, value in example_record(use_case.record).items()}
    return [
        record | {"id": f"c{row}", number.source_column: low + row % int(high - low + 1)}
        for row in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), path)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if ".jsonl" in path.name:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.name.endswith(".gz") else data
        return [json.loads(line) for line in text.splitlines()]
    table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("target", [".csv", ".jsonl.gz", ".parquet"])
def test_every_row_is_answered_in_order(predictor: Predictor, tmp_path: Path, kind: str, target: str) -> None:
    source = write(tmp_path / f"in{kind}", rows_of(300))
    output = tmp_path / f"out{target}"
    report = predict_file(predictor, 1, source, output)
    assert (report.rows, report.answered, report.refused, report.version) == (300, 300, 0, 1)
    found = read(output)
    assert [row["id"] for row in found] == [f"c{row}" for row in range(300)]
    assert len({row["line"] for row in found}) == 300
    records = [{key: value for key, value in row.items() if key != "id"} for row in rows_of(300)]
    columns = predictor.contract.check_table(pa.Table.from_pylist(records)).columns
    expected = predictor.predict(columns)
    assert [row["label"] for row in found] == expected.labels
    assert [row["score"] for row in found] == pytest.approx(expected.scores, abs=1e-6)
    assert not parts_folder(output).exists()


def test_images_too(tmp_path: Path) -> None:
    digits = USE_CASES["digits"]
    predictor = Predictor.load(make_artifact(tmp_path / "1", digits, seed=1))
    record = example_record(digits.record)
    source = write(tmp_path / "in.jsonl", [record | {"id": number} for number in range(5)])
    predict_file(predictor, 1, source, tmp_path / "out.jsonl")
    found = read(tmp_path / "out.jsonl")
    assert [row["id"] for row in found] == list(range(5))
    assert all(row["label"] in digits.target.classes and row["problem"] is None for row in found)


def test_bad_rows_and_lines_stand_where_they_were(predictor: Predictor, tmp_path: Path) -> None:
    good, bad = rows_of(2)
    number = next(field for field in PLANS.record.fields if field.type in ("number", "integer"))
    bad[number.source_column] = "abc"
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join([json.dumps(bad), "{ no json", json.dumps(good)]) + "\n", encoding="utf-8")
    report = predict_file(predictor, 1, source, tmp_path / "out.csv")
    assert (report.rows, report.answered, report.refused) == (3, 1, 2)
    found = read(tmp_path / "out.csv")
    assert [row["line"] for row in found] == [1, 2, 3]
    assert number.name in found[0]["problem"]
    assert found[1]["problem"]
    assert [bool(row["label"]) for row in found] == [False, False, True]
    assert [row["id"] for row in found] == ["c1", "", "c0"]


class CutOff(Exception):
    """As if the power had failed."""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.files.readers.parquet, "BATCH_ROWS", 256)


@pytest.mark.usefixtures("small_batches")
def test_it_goes_on_where_it_was_cut_off(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.parquet", rows_of(1200))
    output = tmp_path / "out.csv"
    predict_file(predictor, 1, source, tmp_path / "whole.csv")

    def cut(now: FileProgress) -> None:
        if now.rows >= 600:
            raise CutOff

    with pytest.raises(CutOff):
        predict_file(predictor, 1, source, output, progress=cut)
    assert not output.exists()
    assert begun_version(source, output) == 1
    answered: list[int] = []
    predict = predictor.predict

    def count(columns: Columns) -> Answers:
        answered.append(1)
        return predict(columns)

    monkeypatch.setattr(predictor, "predict", count)
    report = predict_file(predictor, 1, source, output)
    assert report.resumed == 768
    assert len(answered) == 2
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert begun_version(source, output) is None


def test_a_kill_while_the_output_is_joined_leaves_nothing_beside_its_parts(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in.csv", rows_of(3)), tmp_path / "out.csv"
    there: list[set[Path]] = []
    replace = Path.replace

    def look(draft: Path, target: Path) -> Path:
        if target == output:
            there.append(set(tmp_path.iterdir()))
        return replace(draft, target)

    monkeypatch.setattr(Path, "replace", look)
    predict_file(predictor, 1, source, output)
    assert there == [{source, parts_folder(output)}]
    assert set(tmp_path.iterdir()) == {source, output}


def test_what_was_cut_off_when_its_output_was_whole_ends_by_the_same_call(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in.csv", rows_of(3)), tmp_path / "out.csv"

    def cut(_parts: Parts) -> None:
        raise CutOff

    with monkeypatch.context() as patched, pytest.raises(CutOff):
        patched.setattr(Parts, "finish", cut)
        predict_file(predictor, 1, source, output)
    whole = output.read_bytes()
    with pytest.raises(FileExistsError, match="exists"):
        predict_file(predictor, 2, source, output)
    report = predict_file(predictor, 1, source, output)
    assert (report.rows, report.answered, report.resumed) == (3, 3, 3)
    assert output.read_bytes() == whole
    assert set(tmp_path.iterdir()) == {source, output}
    with pytest.raises(FileExistsError, match="exists"):
        predict_file(predictor, 1, source, output)


@pytest.mark.usefixtures("small_batches")
def test_what_was_cut_off_while_its_parts_went_ends_by_the_same_call(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in.parquet", rows_of(600)), tmp_path / "out.csv"
    steps, was_cut = 1, True
    while was_cut:
        was_cut = False
        with cut_at_step(monkeypatch, steps), suppress(CutOff):
            was_cut = True
            predict_file(predictor, 1, source, output)
            was_cut = False
        if parts_folder(output).exists() and any(parts_folder(output).iterdir()):
            report = predict_file(predictor, 1, source, output)
            assert (report.rows, report.resumed) == (600, 600), f"cut off at step {steps}"
        with pytest.raises(FileExistsError, match="exists"):
            predict_file(predictor, 1, source, output)
        assert set(tmp_path.iterdir()) == {source, output}, f"cut off at step {steps}"
        output.unlink()
        steps += 1
    assert steps > 5


@contextmanager
def cut_at_step(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """Have the step of this number end in its place, of those by which parts and their folder go."""
    steps, finish = itertools.count(1), Parts.finish

    def counted(do: Callable[..., None]) -> Callable[..., None]:
        def step(*args: Any, **options: Any) -> None:
            if next(steps) == number:
                raise CutOff
            do(*args, **options)

        return step

    with monkeypatch.context() as patched:

        def begin(parts: Parts) -> None:
            for name in ("unlink", "rmdir"):
                patched.setattr(os, name, counted(getattr(os, name)))
            finish(parts)

        patched.setattr(Parts, "finish", begin)
        yield


def test_another_file_in_the_place_of_the_output_stays(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in.csv", rows_of(3)), tmp_path / "out.csv"

    def cut(*_: object) -> None:
        raise CutOff

    with monkeypatch.context() as patched, pytest.raises(CutOff):
        patched.setattr(Parts, "finish", cut)
        predict_file(predictor, 1, source, output)
    output.unlink()
    output.write_text("mine")
    with pytest.raises(FileExistsError, match="exists"):
        predict_file(predictor, 1, source, output)
    assert output.read_text() == "mine"
    output.unlink()
    assert predict_file(predictor, 1, source, output).resumed == 3


def test_an_output_is_on_the_disk_before_its_parts_go(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write(tmp_path / "in.csv", rows_of(3)), tmp_path / "out.csv"
    synced: set[int] = set()
    sync, finish = os.fsync, Parts.finish

    def note(file: int) -> None:
        synced.add(os.fstat(file).st_ino)
        sync(file)

    def check(parts: Parts) -> None:
        assert {output.stat().st_ino, output.parent.stat().st_ino} <= synced
        finish(parts)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Parts, "finish", check)
    predict_file(predictor, 1, source, output)
    assert not parts_folder(output).exists()


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("change", ["file", "version"])
def test_parts_of_another_file_or_version_are_not_used(
    predictor: Predictor, tmp_path: Path, change: str
) -> None:
    source = write(tmp_path / "in.parquet", rows_of(600))
    output = tmp_path / "out.csv"

    def cut(_now: FileProgress) -> None:
        raise CutOff

    with pytest.raises(CutOff):
        predict_file(predictor, 1, source, output, progress=cut)
    if change == "file":
        write(source, rows_of(601))
        assert begun_version(source, output) is None
    report = predict_file(predictor, 2 if change == "version" else 1, source, output)
    assert report.resumed == 0
    assert len(read(output)) == report.rows


@pytest.mark.parametrize(
    ("target", "shown"), [(".csv", "'"), (".csv.gz", "'"), (".jsonl", ""), (".parquet", "")]
)
def test_ids_are_no_formulas_in_a_spreadsheet(
    predictor: Predictor, tmp_path: Path, target: str, shown: str
) -> None:
    formula = '=HYPERLINK("http://elsewhere.example","x")'
    rows = [row | {"id": text} for row, text in zip(rows_of(3), (formula, "-7", "c"), strict=True)]
    source = write(tmp_path / "in.jsonl", rows)
    report = predict_file(predictor, 1, source, tmp_path / f"out{target}")
    assert [str(row["id"]) for row in read(tmp_path / f"out{target}")] == [shown + formula, "-7", "c"]
    assert report.disarmed == len(shown)
    kept = predict_file(predictor, 1, source, tmp_path / f"kept{target}", formulas="keep")
    assert [str(row["id"]) for row in read(tmp_path / f"kept{target}")] == [formula, "-7", "c"]
    assert kept.disarmed == 0


def test_the_name_of_the_id_column_is_no_formula_either(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = PLANS.model_copy(update={"record": PLANS.record.model_copy(update={"id_column": "=id"})})
    rows = [{("=id" if key == "id" else key): value for key, value in row.items()} for row in rows_of(1)]
    source = write(tmp_path / "in.jsonl", rows)
    monkeypatch.setattr(predictor, "use_case", named)
    report = predict_file(predictor, 1, source, tmp_path / "out.csv")
    assert (report.answered, report.disarmed) == (1, 0)
    assert (tmp_path / "out.csv").read_text().startswith('"line","\'=id",')


def test_the_output_is_as_the_person_likes(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.jsonl", rows_of(2))
    monkeypatch.setattr(umask, "_original", [])
    before = os.umask(0o027)
    try:
        set_private_umask()
        predict_file(predictor, 1, source, tmp_path / "out.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o640


def test_an_empty_file_has_an_empty_answer(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("", encoding="utf-8")
    assert predict_file(predictor, 1, source, tmp_path / "out.csv").rows == 0
    assert (tmp_path / "out.csv").read_text().startswith('"line"')


def test_what_cannot_be_read_or_written_is_named(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(MissingColumns, match="tenure"):
        predict_file(predictor, 1, source, tmp_path / "out.csv")
    with pytest.raises(SourceError, match=r"out\.txt.*allowed: \.csv"):
        check_output(tmp_path / "out.txt")
    with pytest.raises(SourceError, match="folder"):
        check_output(tmp_path / "nowhere" / "out.csv")
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="exists"):
        predict_file(predictor, 1, source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_parts_whose_ids_differ_in_kind(tmp_path: Path) -> None:
    parts = []
    for number, ids in enumerate(([1, 2], ["a", "b"], [None, None])):
        parts.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.table({"id": ids}), parts[-1])
    join_parts(parts, tmp_path / "out.parquet")
    assert [row["id"] for row in read(tmp_path / "out.parquet")] == ["1", "2", "a", "b", None, None]


LARGE = 2**60 + 1


@pytest.mark.parametrize("target", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(("first", "second"), [(LARGE, 1.5), (-LARGE, 2.5)])
def test_whole_numbers_are_kept_beside_fractions(
    tmp_path: Path, target: str, first: int, second: float
) -> None:
    parts = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for part, one in zip(parts, (first, second), strict=True):
        pq.write_table(pa.table({"id": [one], "line": [1]}), part)
    join_parts(parts, tmp_path / f"out{target}", "keep")
    found = [row["id"] for row in read(tmp_path / f"out{target}")]
    if target == ".csv":
        assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [f'"{first}",1', f'"{second}",1']
    else:
        assert found == [str(first), str(second)]


def test_small_whole_numbers_beside_fractions_are_numbers(tmp_path: Path) -> None:
    parts = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for part, one in zip(parts, (7, 1.5), strict=True):
        pq.write_table(pa.table({"id": [one]}), part)
    join_parts(parts, tmp_path / "out.parquet")
    assert [row["id"] for row in read(tmp_path / "out.parquet")] == [7.0, 1.5]


def test_ids_of_a_file_whose_batches_differ_in_kind(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features.files.readers.json_rows, "BATCH_ROWS", 3)
    ids = [LARGE, 2, 3, 4.0, 5.0, 6.5]
    rows = [row | {"id": one} for row, one in zip(rows_of(6), ids, strict=True)]
    predict_file(predictor, 1, write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [str(LARGE), "2", "3", "4", "5", "6.5"]


def test_the_output_is_named_after_the_file() -> None:
    assert default_output(Path("a/b.parquet")) == Path("a/b.predictions.parquet")
    for name, written in {
        "b.json": "b.predictions.jsonl", "b.2024.TSV.gz": "b.predictions.2024.csv.gz",
        "B.CSV": "B.predictions.CSV", "b.ndjson": "b.predictions.jsonl", "b": "b.predictions",
        "b.jsonl.gz": "b.predictions.jsonl.gz", "b.JSONL.GZ": "b.predictions.JSONL.gz",
    }.items():  # fmt: skip
        assert default_output(Path("a") / name) == Path("a") / written


def test_a_column_that_is_nearly_that_of_a_field_which_may_be_missing_is_told(tmp_path: Path) -> None:
    fields = PLANS.record.fields
    optional = fields[0].model_copy(update={"nullable": True})
    record = PLANS.record.model_copy(update={"fields": (optional, *fields[1:])})
    use_case = PLANS.model_copy(update={"record": record})
    predictor = Predictor.load(make_artifact(tmp_path / "1", use_case, seed=1))
    column = optional.source_column
    rows = rows_of(5, use_case)
    whole = write(tmp_path / "whole.csv", rows)
    assert predict_file(predictor, 1, whole, tmp_path / "answers.csv").notes == ()
    misspelt = [
        {name + "z" if name == column else name: value for name, value in row.items()} for row in rows
    ]
    report = predict_file(predictor, 1, write(tmp_path / "rows.csv", misspelt), tmp_path / "out.csv")
    assert report.answered == 5
    assert report.notes == (f"column '{column}z' is not read; is '{column}' meant, which the file lacks?",)


def test_a_file_that_is_replaced_while_it_is_answered_is_told(tmp_path: Path) -> None:
    predictor = Predictor.load(make_artifact(tmp_path / "1", PLANS, seed=1))
    path, other = write(tmp_path / "rows.csv", rows_of(5)), write(tmp_path / "other.csv", rows_of(6))
    before, after = path.stat().st_size, other.stat().st_size

    def meanwhile(_progress: FileProgress) -> None:
        other.replace(path)

    report = predict_file(predictor, 1, path, tmp_path / "answers.csv", progress=meanwhile)
    assert report.rows == 5
    assert report.notes == (
        f"the file changed while it was read, from {before:,} to {after:,} bytes: rows may be missing, "
        "and one may be cut; it has to be read again once nobody writes to it",
    )
