"""What schemathesis needs to know to make valid cases: the image formats of the document."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image

FORMAT = re.compile(r"png-(\d+)x(\d+)")


def pngs(height: int, width: int) -> st.SearchStrategy[str]:
    """PNG files of that many grey pixels, in base64."""

    def write(seed: int) -> str:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG")
        return base64.b64encode(held.getvalue()).decode()

    return st.integers(0, 99).map(write)


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: Any) -> None:  # noqa: ARG001
    """Make each image format known."""
    for height, width in set(FORMAT.findall(str(raw_schema))):
        schemathesis.openapi.format(f"png-{height}x{width}", pngs(int(height), int(width)))
