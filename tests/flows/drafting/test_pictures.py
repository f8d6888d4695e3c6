"""Columns of picture files, and folders of them: what is drafted, and what is told of broken ones."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from configs.loading import load_use_case
from flows.cli import app
from flows.drafting.document import data_path
from flows.drafting.errors import CannotDraft
from flows.drafting.pictures.class_folders import list_pictures
from tests.flows.drafting.files import checked, drafted, reason_of, write_csv

ROWS = 40
LABELS = ["red", "blue"] * (ROWS // 2)


def picture(place: int, size: tuple[int, int] = (20, 20), mode: str = "RGB", kind: str = "PNG") -> bytes:
    """Noise around red or blue, another for each place."""
    noise = np.random.default_rng(place).integers(0, 60, (size[1], size[0], 3))
    noise[..., 0 if place % 2 == 0 else 2] += 180
    held = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).convert(mode).save(held, kind)
    return held.getvalue()


def with_files(folder: Path, **options: Any) -> list[str]:
    """Pictures beside a file, and their paths."""
    (folder / "all").mkdir(exist_ok=True)
    for place in range(ROWS):
        (folder / "all" / f"{place}.png").write_bytes(picture(place, **options))
    return [f"all/{place}.png" for place in range(ROWS)]


def test_a_column_of_paths_is_a_picture_in_colour(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "photos.csv", {"photo": with_files(tmp_path), "label": LABELS})
    made, use_case, rows = checked(file)
    field = use_case.record.fields[0]
    assert (use_case.kind, field.name, field.shape, field.resize) == ("image", "photo", (20, 20, 3), "crop")
    assert use_case.model.estimator == "keras_resnet"
    assert (rows.rows, rows.refused, made.warnings) == (ROWS, 0, ())
    assert "20x20 each, in colour" in made.fields[0].why


@pytest.mark.parametrize(
    ("options", "shape", "resize", "estimator"),
    [
        ({"mode": "L"}, (20, 20), "crop", "keras_cnn"),
        ({"size": (100, 100), "mode": "L"}, (64, 64), "crop", "keras_resnet"),
        ({"size": (400, 300), "kind": "JPEG"}, (48, 64, 3), "crop", "keras_resnet"),
        ({"size": (30, 40)}, (40, 30, 3), "crop", "keras_resnet"),
    ],
)
def test_shape_and_estimator_follow_from_the_files(
    tmp_path: Path, options: dict[str, Any], shape: tuple[int, ...], resize: str, estimator: str
) -> None:
    file = write_csv(tmp_path / "photos.csv", {"photo": with_files(tmp_path, **options), "label": LABELS})
    _, use_case, rows = checked(file)
    field = use_case.record.fields[0]
    assert (field.shape, field.resize, use_case.model.estimator) == (shape, resize, estimator)
    assert rows.refused == 0


def test_pictures_of_several_forms_are_kept_whole(tmp_path: Path) -> None:
    names = with_files(tmp_path)
    (tmp_path / "all" / "0.png").write_bytes(picture(0, (300, 100)))
    _, use_case, _ = checked(write_csv(tmp_path / "photos.csv", {"photo": names, "label": LABELS}))
    assert (use_case.record.fields[0].shape, use_case.record.fields[0].resize) == ((20, 20, 3), "fit")


def test_broken_and_missing_pictures_are_counted(tmp_path: Path) -> None:
    names = with_files(tmp_path)
    names[3], names[4] = "all/none.png", "all/nobody.png"
    (tmp_path / "all" / "5.png").write_bytes(picture(5)[:200])
    (tmp_path / "all" / "6.png").write_bytes(b"GIF89a" + b"\0" * 40)
    made, _, rows = checked(write_csv(tmp_path / "photos.csv", {"photo": names, "label": LABELS}))
    told = " ".join(made.warnings)
    assert f"2 of {ROWS} paths lead to no file" in told
    assert "all/none.png" in told
    assert f"4 of {ROWS} pictures that were looked at cannot be read" in told
    assert "2 are missing" in told
    assert "1 are GIF, which is not read" in told
    assert rows.refused == 4


def test_no_readable_picture_is_told_with_where_they_were_looked_for(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "photos.csv", {"photo": [f"{n}.jpg" for n in range(ROWS)], "label": LABELS})
    with pytest.raises(CannotDraft, match=r"none of 40 pictures .* 40 are missing\. Paths are looked for"):
        drafted(file)


def test_urls_are_off_and_told_so(tmp_path: Path) -> None:
    urls = [f"https://images.example.org/{place}.jpg?size=1" for place in range(ROWS)]
    with pytest.raises(CannotDraft, match=r"holds URLs of pictures, which are off: .*files.picture_hosts"):
        drafted(write_csv(tmp_path / "photos.csv", {"photo": urls, "label": LABELS}))


@pytest.mark.parametrize("form", ["bytes", "struct", "base64"])
def test_pictures_within_the_file_are_recognised(tmp_path: Path, form: str) -> None:
    data = [picture(place) for place in range(ROWS)]
    forms: dict[str, list[Any]] = {
        "bytes": data,
        "struct": [{"bytes": one, "path": f"{place}.png"} for place, one in enumerate(data)],
        "base64": [base64.b64encode(one).decode() for one in data],
    }
    file = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"image": forms[form], "label": LABELS}), file)
    _, use_case, rows = checked(file)
    assert (use_case.kind, use_case.record.fields[0].shape) == ("image", (20, 20, 3))
    assert (rows.rows, rows.refused) == (ROWS, 0)


def test_other_columns_beside_a_picture_are_left_out_and_told(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "photo": with_files(tmp_path),
        "weight": [place * 0.3 for place in range(ROWS)],
    }
    made, use_case, _ = checked(write_csv(tmp_path / "photos.csv", {**columns, "label": LABELS}))
    assert reason_of(made, "weight") == "beside"
    assert any("--leave-out photo" in one for one in made.warnings)
    assert use_case.kind == "image"
    without = drafted(tmp_path / "photos.csv", leave_out=("photo",))
    assert without.kind == "tabular"


def test_different_pixels_are_different_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pixels = {f"image_{place}": random.integers(0, 17, ROWS).tolist() for place in range(64)}
    made = drafted(write_csv(tmp_path / "p.csv", {"row": range(1, ROWS + 1), **pixels, "label": LABELS}))
    assert made.id_key is None
    assert not any("equal to another" in one for one in made.warnings)


def test_several_labels_a_picture_are_refused(tmp_path: Path) -> None:
    labels = ["a|b", "b|c", "a|c", "c"] * (ROWS // 4)
    with pytest.raises(CannotDraft, match="one label each"):
        drafted(write_csv(tmp_path / "photos.csv", {"photo": with_files(tmp_path), "label": labels}))


def test_words_that_end_like_pictures_at_times_are_words(tmp_path: Path) -> None:
    words = ["see a.png", "one", "two", "three", "four"] * (ROWS // 5)
    assert drafted(write_csv(tmp_path / "w.csv", {"note": words, "label": LABELS})).kind == "tabular"


def class_folders(folder: Path) -> Path:
    """A folder with a folder of pictures for each label."""
    for place, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{place}, a.png").write_bytes(picture(place))
    (folder / "red" / "notes.txt").write_text("no picture")
    (folder / ".hidden").mkdir()
    return folder


def test_a_folder_of_class_folders_is_drafted(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos")
    shown = CliRunner().invoke(app, ["new", "colours", str(folder), "--out", str(tmp_path), "--dry-run"])
    assert (shown.exit_code, list(tmp_path.glob("**/colours.*"))) == (0, [])
    told = CliRunner().invoke(app, ["new", "colours", str(folder), "--out", str(tmp_path)])
    assert told.exit_code == 0, told.output
    use_case = load_use_case(tmp_path / "colours.yaml")
    assert (use_case.kind, use_case.target.classes) == ("image", ("blue", "red"))
    lines = (folder / "colours.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("file,label", ROWS + 1)


@pytest.mark.parametrize("odd", [b"caf\xe9/1.png", b"cat/\xe9.png"])
def test_a_name_that_is_no_text_is_told(tmp_path: Path, odd: bytes) -> None:
    for path in (b"cat/1.png", b"dog/1.png", odd):
        file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + path))
        file.parent.mkdir(exist_ok=True)
        file.touch()
    with pytest.raises(CannotDraft, match="the name is no text in UTF-8") as told:
        list_pictures(tmp_path)
    assert str(told.value).startswith(odd.decode(errors="backslashreplace").partition("/")[0])


def test_a_file_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotDraft, match=r"rows\\xe9.csv: the name is no text in UTF-8"):
        data_path(tmp_path / os.fsdecode(b"rows\xe9.csv"), tmp_path)


def test_an_error_leaves_no_list_behind(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos")
    (folder / "colours.csv").write_text("mine")
    told = CliRunner().invoke(app, ["new", "colours", str(folder), "--out", str(tmp_path)])
    assert told.exit_code != 0
    assert (folder / "colours.csv").read_text() == "mine"
    told = CliRunner().invoke(
        app, ["new", "other", str(folder), "--out", str(tmp_path), "--task", "binary", "--positive", "green"]
    )
    assert told.exit_code != 0
    assert not (folder / "other.csv").exists()


@pytest.mark.parametrize(("deep", "words"), [(True, "holds folders of pictures"), (False, "0 folders")])
def test_other_folders_are_refused_with_what_is_allowed(tmp_path: Path, deep: bool, words: str) -> None:
    if deep:
        class_folders(tmp_path / "train")
    with pytest.raises(CannotDraft, match=words):
        list_pictures(tmp_path)
