"""A real service that is sent odd pictures: each is answered, or refused by name, and none breaks it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from configs.schema import UseCase
from models.versions.predictor import Predictor
from tests.features.records.pictures import odd
from tests.service.servers import Server, put_in_cache

FIELDS = [{"name": "photo", "type": "image", "shape": [32, 32, 3], "resize": "crop"}]
PHOTOS: dict[str, Any] = {
    "name": "photos",
    "title": "Photographs",
    "kind": "image",
    "record": {"fields": FIELDS},
    "target": {"task": "multiclass", "classes": ["red", "green", "blue"]},
    "model": {"estimator": "keras_resnet"},
}
"""Also what the page's tests ask about."""


def serve_photos(home: Path, database_url: str) -> Server:
    """A service of this use case, whose version is made up."""
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "photos.yaml").write_text(json.dumps(PHOTOS))
    put_in_cache(home, UseCase.model_validate(PHOTOS), 1, serving=1)
    # Of others the database may know a production that nobody has here.
    return Server(home, database_url, RATCHET_CONFIGS=str(home / "configs"), RATCHET_USE_CASES="photos")


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("photos") / "home"
    with serve_photos(home, module_database_url) as running:
        yield running


def ask(server: Server, data: Any, path: str = "predict") -> Any:
    sent = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return server.client.post(f"/v1/photos/{path}", json={"records": [{"photo": sent}]})


@pytest.fixture(scope="module")
def predictor(server: Server) -> Predictor:
    folder = Path(server.log).parent / "cache" / "models" / "photos" / "1"
    return Predictor.load(folder)


@pytest.mark.parametrize("name", odd.READ)
def test_what_is_read_is_answered_as_a_training_sees_it(
    server: Server, predictor: Predictor, name: str
) -> None:
    response = ask(server, odd.READ[name])
    assert response.status_code == 200, response.text
    columns = predictor.contract.check_records([{"photo": {"bytes": odd.READ[name]}}]).all_or_raise()
    (answer,) = response.json()["predictions"]
    expected = predictor.predict(columns).probabilities[0]
    np.testing.assert_allclose([answer["scores"][one] for one in predictor.classes], expected, atol=1e-5)


@pytest.mark.parametrize("name", odd.REFUSED)
def test_what_is_refused_is_refused_by_name(server: Server, name: str) -> None:
    data, words = odd.REFUSED[name]
    response = ask(server, data)
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith(f"field 'photo': {words}")


@pytest.mark.parametrize(
    "sent",
    [
        "../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/1.png",
        {"bytes": None, "path": "/etc/passwd"},
        {"path": "1.png"},
        "data:image/png;base64,",
        "data:image/gif;base64,R0lGODlh",
        "",
        7,
        [[[0, 0]]],
        [[[1] * 3] * 32],
    ],
)
def test_a_request_names_no_file_and_no_url(server: Server, sent: Any) -> None:
    response = ask(server, sent)
    assert response.status_code == 422
    assert "field 'photo': " in response.json()["error"]["message"]


def test_every_door_takes_pictures(server: Server) -> None:
    data = base64.b64encode(odd.READ["jpeg"]).decode()
    pixels = np.asarray(Image.open(io.BytesIO(odd.saved(odd.halves(32, 32)))))
    asked = ask(server, pixels.tolist()).json()["predictions"][0]["scores"]
    flat = ask(server, pixels.ravel().tolist()).json()["predictions"][0]["scores"]
    assert flat == pytest.approx(asked)
    tensor = {"name": "photo", "shape": [1, 32, 32, 3], "datatype": "UINT8", "data": pixels.ravel().tolist()}
    inferred = server.client.post("/v2/models/photos/infer", json={"inputs": [tensor]})
    assert inferred.status_code == 200, inferred.text
    outputs = {one["name"]: one["data"] for one in inferred.json()["outputs"]}
    assert outputs["scores"] == pytest.approx([asked[name] for name in outputs["classes"]])
    frame = {"dataframe_split": {"columns": ["photo"], "data": [[data]]}}
    assert server.client.post("/v1/photos/invocations", json=frame).status_code == 200
    labelled = {
        "items": [{"record": {"photo": data}, "label": "red"}, {"record": {"photo": "x"}, "label": "red"}]
    }
    told = server.client.post("/v1/photos/feedback", json=labelled).json()
    assert (told["accepted"], len(told["rejected"])) == (1, 1)


def test_the_document_says_which_pictures_are_taken(server: Server) -> None:
    document = server.client.get("/docs.json").text
    assert '"png-32x32"' in document and '"jpeg-32x32"' in document
    assert "A JPEG of any size, resized to 32x32;" in document
