"""Pictures that rows of a file name: what is read, what is refused, and what nobody gets to see."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from configs.loading import load_use_cases
from configs.schema import UseCase
from features.files import linked_pictures
from features.files.labelled_rows import LabelledRows, RowReader, first_rows
from features.files.layout import layout_of
from features.files.sources import open_source
from tests.features.records.pictures import odd

SHAPE = (8, 12, 3)
RED, BLUE = (200, 0, 0), (0, 0, 200)


def use_case(**files: Any) -> UseCase:
    return UseCase.model_validate(
        {
            "name": "photos",
            "title": "Photographs",
            "kind": "image",
            "record": {
                "fields": [
                    {"name": "photo", "column": "file", "type": "image", "shape": SHAPE, "resize": "crop"}
                ]
            },
            "target": {"task": "multiclass", "classes": ["red", "blue"]},
            "files": files,
            "model": {"estimator": "keras_resnet"},
        }
    )


def picture(colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    return odd.saved(Image.new("RGB", (30, 20), colour), kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`data` with pictures in it, and beside it what nobody may reach from there."""
    data = tmp_path / "data"
    (data / "red").mkdir(parents=True)
    (data / "red" / "1.png").write_bytes(picture(RED))
    (data / "2.jpg").write_bytes(picture(BLUE, "JPEG"))
    (tmp_path / "secret.png").write_bytes(picture(RED))
    return data


def read(path: Path, case: UseCase) -> LabelledRows:
    """All rows of a file, which is small."""
    with closing(open_source(path, layout_of(case))) as source:
        reader = RowReader(case)
        reader.require_columns(source)
        (rows,) = [reader.read(batch) for batch in source.batches]
    return rows


def read_names(folder: Path, names: list[str], case: UseCase | None = None) -> LabelledRows:
    lines = "".join(f"{json.dumps({'file': name, 'label': 'red'})}\n" for name in names)
    (folder / "rows.jsonl").write_text(lines)
    return read(folder / "rows.jsonl", case or use_case())


def reason(folder: Path, name: str, case: UseCase | None = None) -> str:
    rows = read_names(folder, [name, "red/1.png"], case)
    assert len(rows.labels) == 1  # the other row of the file is none the worse
    (refused,) = rows.refused
    assert refused.line == 1
    assert refused.row["file"] == name
    return refused.reason


def means(rows: LabelledRows) -> list[list[float]]:
    return rows.columns["photo"].mean(axis=(1, 2)).round().tolist()  # type: ignore[no-any-return]


def test_paths_in_csv_are_read_beside_the_file(folder: Path) -> None:
    (folder / "rows.csv").write_text(
        "file,label\nred/1.png,red\n2.jpg,blue\ngone.png,red\n./red/../2.jpg,blue\n"
    )
    rows = read(folder / "rows.csv", use_case())
    assert rows.labels == ["red", "blue", "blue"]
    assert rows.columns["photo"].shape == (3, *SHAPE)
    np.testing.assert_allclose(means(rows), [RED, BLUE, BLUE], atol=3)
    (refused,) = rows.refused
    assert (refused.line, refused.row) == (4, {"file": "gone.png", "label": "red"})
    assert refused.reason.startswith(
        "field 'photo': got 'gone.png' (text), and there is no such file; allowed:"
    )


def test_base64_in_csv_and_bytes_in_parquet(folder: Path) -> None:
    encoded = base64.b64encode(picture(RED)).decode()
    (folder / "rows.csv").write_text(f'file,label\n{encoded},red\n"data:image/png;base64,{encoded}",red\n')
    assert means(read(folder / "rows.csv", use_case())) == [list(RED)] * 2
    for column in (
        pa.array([picture(RED), picture(BLUE), None]),
        pa.array([picture(RED), picture(BLUE), None], pa.large_binary()),
        pa.array([{"bytes": picture(RED), "path": "x"}, {"bytes": picture(BLUE), "path": None}, None]),
        pa.array([{"bytes": None, "path": "red/1.png"}, {"bytes": picture(BLUE), "path": None}, None],
                 pa.struct({"bytes": pa.binary(), "path": pa.string()})),
    ):  # fmt: skip
        pq.write_table(pa.table({"file": column, "label": ["red", "blue", "red"]}), folder / "rows.parquet")
        rows = read(folder / "rows.parquet", use_case())
        assert means(rows) == [list(RED), list(BLUE)]
        assert [row.line for row in rows.refused] == [3]


@pytest.mark.parametrize(
    "objects",
    [
        [{"bytes": "RED", "path": "x"}, {"bytes": None, "path": "2.jpg"}, {"bytes": None, "path": None}],
        [{"bytes": "RED", "path": None}, {"bytes": "BLUE"}, {}],
        [{"bytes": "RED"}, "2.jpg", {"bytes": ["RED"]}],
        [{"bytes": "RED"}, {"path": "2.jpg"}, {"bytes": {"bytes": "RED"}}],
        [{"bytes": "RED"}, {"path": "2.jpg"}, {"bytes": "RED", "width": 4}],
    ],
)
def test_objects_of_bytes_and_path_are_read_of_json_as_of_a_request(folder: Path, objects: list[Any]) -> None:
    known = {"RED": picture(RED), "BLUE": picture(BLUE)}
    text = json.dumps([{"file": one, "label": "red"} for one in objects])
    for name, data in known.items():
        text = text.replace(f'"{name}"', f'"{base64.b64encode(data).decode()}"')
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in json.loads(text)))
    (folder / "rows.json").write_text(text)
    for name in ("rows.jsonl", "rows.json"):
        rows = read(folder / name, use_case())
        np.testing.assert_allclose(means(rows), [RED, BLUE], atol=3)
        assert [row.line for row in rows.refused] == [3]


def test_text_of_bytes_in_objects_of_parquet(folder: Path) -> None:
    encoded = base64.b64encode(picture(RED)).decode()
    objects = pa.array([{"bytes": encoded, "path": None}, {"bytes": encoded, "path": None}])
    pq.write_table(pa.table({"file": objects, "label": ["red", "red"]}), folder / "rows.parquet")
    assert means(read(folder / "rows.parquet", use_case())) == [list(RED)] * 2


def test_what_is_no_picture_is_refused_with_its_line(folder: Path) -> None:
    for name, (data, words) in odd.REFUSED.items():
        (folder / "odd.png").write_bytes(data)
        assert reason(folder, "odd.png").startswith(f"field 'photo': {words}"), name
    (folder / "empty.png").write_bytes(b"")
    assert "got no bytes; allowed" in reason(folder, "empty.png")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "red/../../secret.png",
        "/etc/passwd",
        "/etc/no_such_file",
        "out.png",
        "away/secret.png",
        "..",
        "~/secret.png/../../../secret.png",
    ],
)
def test_nothing_outside_the_folder_is_read_nor_told_of(folder: Path, name: str) -> None:
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    (folder / "away").symlink_to(folder.parent, target_is_directory=True)
    assert "which lies outside the folder of the file; allowed besides: `files.picture_folders`" in reason(
        folder, name
    )


def test_links_within_the_folder_and_folders_that_are_allowed(folder: Path, tmp_path: Path) -> None:
    (folder / "in.png").symlink_to(folder / "red" / "1.png")
    other = tmp_path / "other"
    other.mkdir()
    (other / "3.png").write_bytes(picture(BLUE))
    case = use_case(picture_folders=[str(other)])
    rows = read_names(folder, ["in.png", "3.png", str(other / "3.png"), "../other/3.png"], case)
    assert means(rows) == [list(RED), *[list(BLUE)] * 3]
    assert "lies outside" in reason(folder, "../secret.png", case)


def test_a_link_that_is_put_there_while_it_is_opened_leads_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "red" / "1.png").unlink()
    (folder / "red").rmdir()
    (folder / "red").symlink_to(folder.parent, target_is_directory=True)
    monkeypatch.setattr(os.path, "realpath", os.path.abspath)
    with pytest.raises(ValueError, match="cannot be read"):
        linked_pictures.LinkedPictures(folder / "rows.csv")("red/secret.png")


def test_what_is_no_file_or_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe.png")
    assert "which is no file" in reason(folder, "pipe.png")
    assert "which is no file" in reason(folder, "red")
    assert "cannot be seen" in reason(folder, "red/1.png\x00.txt")
    assert "File name too long" in reason(folder, "a" * 300)
    monkeypatch.setattr(linked_pictures, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="MB; allowed"):
        linked_pictures.LinkedPictures(folder / "rows.csv")("red/1.png")


class Pictures(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/away.png":
            self.send_response(302)
            self.send_header("Location", "/1.png")
            self.end_headers()
        elif self.path == "/1.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(picture(BLUE))
        else:
            self.send_error(404)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    Pictures.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_urls_are_fetched_from_the_hosts_that_are_allowed(folder: Path, origin: str) -> None:
    case = use_case(picture_hosts=[origin])
    assert means(read_names(folder, [f"{origin}/1.png"], case)) == [list(BLUE)]
    assert "which answers 404; allowed: 200" in reason(folder, f"{origin}/2.png", case)
    assert "which answers 302; allowed: 200" in reason(folder, f"{origin}/away.png", case)


def test_nothing_else_is_asked(folder: Path, origin: str) -> None:
    host = origin.removeprefix("http://")
    for url in (f"{origin}/1.png", f"http://user:pw@{host}/1.png", f"HTTP://{host}/1.png"):
        assert "of an origin that pictures may not come from (`files.picture_hosts`: none)" in reason(
            folder, url
        )
    case = use_case(picture_hosts=["https://images.example.org", origin])
    for url in (f"http://images.example.org@{host}/1.png", f"http://a@{host}/1.png", "http://169.254.169.254/x",
                f"http://localhost:{host.partition(':')[2]}/1.png"):  # fmt: skip
        assert "of an origin that pictures may not come from" in reason(folder, url, case)
    for url in ("file:///etc/passwd", f"ftp://{host}/1.png", "gopher://x/1"):
        assert "a URL of http or https" in reason(folder, url, case)
    assert Pictures.asked == []


def test_a_host_that_is_away_is_soon_asked_no_more(folder: Path) -> None:
    with closing(ThreadingHTTPServer(("127.0.0.1", 0), Pictures).socket) as taken:
        away = f"http://127.0.0.1:{taken.getsockname()[1]}"
    rows = read_names(folder, [f"{away}/{number}.png" for number in range(9)], use_case(picture_hosts=[away]))
    assert [("did not answer:" in row.reason, "asked no more" in row.reason) for row in rows.refused] == [
        *[(True, False)] * linked_pictures.MOST_SILENT,
        *[(False, True)] * (9 - linked_pictures.MOST_SILENT),
    ]


def dripping(first: bytes, drop: bytes, ended: threading.Event) -> Iterator[str]:
    """An origin that begins an answer and never ends it; `ended` is set when its client has hung up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(10_000)
                connection.sendall(first)
                while not ended.wait(0.02):
                    connection.sendall(drop)
            ended.set()

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"a"),
    ],
    ids=["headers", "continue", "body"],
)
def test_an_origin_that_never_ends_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, drop: bytes
) -> None:
    monkeypatch.setattr(linked_pictures, "WHOLE_SECONDS", 0.3)
    ended = threading.Event()
    with contextmanager(dripping)(first, drop, ended) as url:
        assert "which takes longer than 0.3 seconds" in reason(
            folder, f"{url}/1.png", use_case(picture_hosts=[url])
        )
        assert ended.wait(30)


def test_many_large_pictures_come_in_batches_that_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.files.sources.LEVELS_BYTES", 2 * 8 * 12 * 3)
    (folder / "rows.csv").write_text(
        "file,label\n" + "red/1.png,red\n" * 3 + "gone.png,red\n" + "2.jpg,blue\n"
    )
    case = use_case()
    reader = RowReader(case)
    with closing(open_source(folder / "rows.csv", layout_of(case))) as source:
        parts = [reader.read(batch) for batch in source.batches]
    assert [part.labels for part in parts] == [["red", "red"], ["red"], ["blue"]]
    assert [row.line for part in parts for row in part.refused] == [5]
    with closing(open_source(folder / "rows.csv", layout_of(case))) as source:
        (few,) = [reader.read(batch) for batch in first_rows(source, 4, case.record).batches]
    assert (few.labels, [row.line for row in few.refused]) == (["red"] * 3, [5])


def test_folders_of_pictures_stand_beside_the_configuration(tmp_path: Path) -> None:
    written = use_case(picture_folders=["photos", "/srv/photos"]).model_dump(mode="json", exclude_unset=True)
    (tmp_path / "photos.yaml").write_text(json.dumps(written))
    loaded = load_use_cases([tmp_path])["photos"]
    assert loaded.files.picture_folders == (str(tmp_path / "photos"), "/srv/photos")
