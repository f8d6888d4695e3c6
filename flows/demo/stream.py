"""The stream of the demo: real labelled images whose look changes, and the traffic that goes on meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


def invert(images: Images) -> Images:
    """Dark on light becomes light on dark."""
    return (255 - images).astype(np.uint8)


def shift(images: Images) -> Images:
    """Move everything right and down by an eighth of the height; what leaves is lost."""
    step = max(1, images.shape[1] // 8)
    moved = np.zeros_like(images)
    moved[:, step:, step:] = images[:, :-step, :-step]
    return moved


def thicken(images: Images) -> Images:
    """Strokes grow by two pixels on each side (grey dilation with a 5x5 square)."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return np.asarray(windows.max(axis=(3, 4)), dtype=np.uint8)


DRIFTS: dict[str, Callable[[Images], Images]] = {"invert": invert, "shift": shift, "thicken": thicken}


@dataclass(frozen=True)
class Predictions:
    """Predictions of the service for some records."""

    prediction_ids: list[str]
    labels: list[str]
    version: int


class Client:
    """The two calls of the service that the demo makes."""

    def __init__(self, url: str, use_case: str, field_name: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/v1/{use_case}", timeout=30)
        self._field = field_name
        self.sent = 0

    def predict(self, images: Images) -> Predictions:
        """Ask for predictions.

        Raises:
            httpx.HTTPError: the request failed.
        """
        records = [{self._field: image.tolist()} for image in images]
        answer = self._post("predict", {"records": records})
        predictions = answer["predictions"]
        return Predictions(
            [prediction["id"] for prediction in predictions],
            [prediction["label"] for prediction in predictions],
            int(answer["model"]["version"]),
        )

    def served_version(self, images: Images) -> int | None:
        """Version that answers now; None while there is no model to answer."""
        try:
            return self.predict(images).version
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return None
            raise

    def send_labels(self, prediction_ids: Sequence[str], labels: Sequence[str]) -> int:
        """Send true labels; returns how many were accepted."""
        items = [
            {"prediction_id": prediction_id, "label": label}
            for prediction_id, label in zip(prediction_ids, labels, strict=True)
        ]
        return int(self._post("feedback", {"items": items})["accepted"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, path: str, body: Any) -> Any:
        self.sent += 1
        response = self._http.post(f"/{path}", json=body)
        response.raise_for_status()
        return response.json()


@dataclass
class Traffic:
    """Requests that never pause while everything else happens; counts what failed and who answered."""

    client: Client
    images: Images
    per_second: float = 40.0
    failures: list[str] = field(default_factory=list)
    first_answer_by: dict[int, float] = field(default_factory=dict)
    """Version to the time of its first answer, in seconds since the epoch."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin sending."""
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sending and wait for the last answer."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def wait_for(self, version: int, seconds: float) -> float | None:
        """Time of the first answer by `version` in seconds since the epoch; None: not within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if version in self.first_answer_by:
                return self.first_answer_by[version]
            time.sleep(0.02)
        return None

    def _run(self) -> None:
        place = 0
        while not self._stop.wait(1 / self.per_second):
            image = self.images[place % len(self.images)][np.newaxis]
            place += 1
            try:
                version = self.client.predict(image).version
            except httpx.HTTPError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            else:
                self.first_answer_by.setdefault(version, time.time())
