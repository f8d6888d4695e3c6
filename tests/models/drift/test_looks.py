"""Images in drift checks: what blurs, turns or is never seen is found; drawings as before are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from configs.schema import DriftConfig
from features.encoders.image import ImageEncoder
from models.drift.decision import DriftDecision
from models.drift.judging import judge_frames

Images = NDArray[np.uint8]
ENCODER = ImageEncoder("image", (8, 8))
CHANGED = 80
"""Of 400 recent images."""


@pytest.fixture(scope="module")
def digits() -> tuple[Images, NDArray[np.int64]]:
    """Real ones, in no order."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(labels))
    return np.rint(pixels[order].reshape(-1, 8, 8) * 255 / 16).astype(np.uint8), labels[order]


def judge(before: Images, now: Images) -> DriftDecision:
    tables = ENCODER.summarise_both({"image": before}, {"image": now})
    return judge_frames(DriftConfig(), *tables, seed=1)[0]


def turn(images: Images) -> Images:
    turned = ndimage.rotate(images.astype(float), 20, axes=(1, 2), reshape=False, order=1)
    return np.asarray(np.clip(np.rint(turned), 0, 255), dtype=np.uint8)


def blur(images: Images) -> Images:
    blurred = ndimage.gaussian_filter(images.astype(float), (0, 0.5, 0.5))
    return np.asarray(np.rint(blurred), dtype=np.uint8)


def test_drawings_as_before_are_no_drift(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, _ = digits
    for seed in range(8):
        drawn = images[np.random.default_rng(seed).permutation(len(images))]
        assert judge(drawn[:1000], drawn[1000:1400]).verdict == "no_drift"


@pytest.mark.parametrize(("change", "column"), [(turn, "look"), (blur, "faint")])
def test_a_fifth_that_looks_otherwise_is_found_and_told(
    digits: tuple[Images, NDArray[np.int64]], change: Callable[[Images], Images], column: str
) -> None:
    images, _ = digits
    now = images[1000:1400].copy()
    now[:CHANGED] = change(now[:CHANGED])
    moved = judge(images[:1000], now)
    assert moved.verdict == "drift"
    assert moved.columns[column].drifted
    assert moved.columns[column].moved


def test_a_digit_that_was_never_seen_has_a_look_of_its_own(
    digits: tuple[Images, NDArray[np.int64]],
) -> None:
    images, labels = digits
    known, fours = images[labels != 4], images[labels == 4]
    moved = judge(known[:1000], np.concatenate([fours[:CHANGED], known[1000:1320]]))
    assert moved.verdict == "drift"
    told = moved.columns["look"].moved
    assert told is not None
    assert told.startswith('"look ')
