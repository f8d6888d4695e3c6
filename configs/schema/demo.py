"""The stream that the demo plays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.base import Frozen


class DemoConfig(Frozen):
    """The stream that `ratchet demo` plays."""

    drift: Literal["invert", "shift", "thicken"] = "invert"
    """What happens to the images of the stream."""
    rows: Annotated[int, Field(gt=0)] = 1000
    """Length of the drifted stream."""
