"""Whether servers are found out that answer otherwise, and what each protocol is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from benchmarks.harness.answers import ensure_right, labels_of
from benchmarks.harness.recipes import rows_body
from benchmarks.harness.servers import Peer
from benchmarks.harness.tensor_servers import tensor_body, triton_config
from benchmarks.hot_path.records import PICTURE, ROW, TEXT, requests_of, use_case_of

CLASSES = ("stays", "buys", "leaves")
SCORES = [0.1, 0.7, 0.2, 0.9, 0.05, 0.05]


@pytest.mark.parametrize(
    "answer",
    [
        {"predictions": [{"label": "buys", "scores": {}}, {"label": "stays"}], "model": {}},
        [{"label": "buys"}, {"label": "stays"}],
        {"predictions": ["buys", "stays"]},
        {"outputs": [{"name": "scores", "shape": [2, 3], "data": SCORES}]},
        {"outputs": [{"name": "scores", "shape": [2, 3], "data": [SCORES[:3], SCORES[3:]]}]},
    ],
)
def test_labels_are_read_from_the_answers_of_all_servers(answer: Any) -> None:
    assert labels_of(answer, CLASSES) == ["buys", "stays"]


@contextmanager
def served(wrong: set[int]) -> Iterator[Peer]:
    """A server that says `buys` of each record, save those of these places, of which it says `stays`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            records = json.loads(self.rfile.read(int(self.headers["content-length"])))["records"]
            content = json.dumps([{"label": "stays" if one in wrong else "buys"} for one in records])
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Peer("other", [], server.server_port, "/", rows_body("records"))
        server.shutdown()
        thread.join()


def test_a_server_that_answers_otherwise_is_not_timed() -> None:
    records, expected = list(range(50)), ["buys"] * 50
    with served(set()) as peer:
        ensure_right(peer, records, expected, CLASSES, 20)
    with (
        served({3, 45}) as peer,
        pytest.raises(ValueError, match=r"other answers otherwise .* 1 of 20 labels differ"),
    ):
        ensure_right(peer, records, expected, CLASSES, 20)


def test_tensors_hold_what_the_records_hold() -> None:
    [row], [text] = requests_of(ROW, 1), requests_of(TEXT, 1)
    numbers, categories = json.loads(tensor_body(ROW)([row, row]))["inputs"]
    assert numbers["shape"] == [2, 14]
    assert categories["shape"] == [2, 6]
    fields = [field for field in use_case_of(ROW).record.fields if field.type != "category"]
    assert numbers["data"][14:] == [float(row[field.name]) for field in fields]
    assert categories["data"][:6] == [row[name] for name in row if isinstance(row[name], str)]
    assert json.loads(tensor_body(TEXT)([text]))["inputs"] == [
        {"name": "text", "datatype": "BYTES", "shape": [1, 1], "data": [text["text"]]}
    ]
    image = [[place + 28 * row for place in range(28)] for row in range(28)]
    [pixels] = json.loads(tensor_body(PICTURE)([image]))["inputs"]
    assert pixels["data"] == list(range(784))


def test_triton_is_told_the_tensors_and_the_number_of_classes(tmp_path: Any) -> None:
    told = triton_config(ROW, tmp_path / "model.onnx")
    assert '{name: "numbers" data_type: TYPE_FP32 dims: [14]}' in told
    assert '{name: "categories" data_type: TYPE_STRING dims: [6]}' in told
    assert "dims: [3]" in told
    assert "dynamic_batching" in told
