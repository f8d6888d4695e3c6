"""What a person may ask of one run beyond what the configuration says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.schema import Frozen


class RunRequest(Frozen):
    """What anybody who may start a run may ask of it, over HTTP too."""

    epochs: Annotated[int, Field(gt=0, le=10_000)] | None = None
    """Epochs of every fit; for estimators that have them."""
    sample_count: Annotated[int, Field(gt=0)] | None = None
    """Learn from this many of the training rows, drawn with the configured seed."""
    from_scratch: bool = False
    """Neither continue from a checkpoint nor from production."""


class RunOptions(RunRequest):
    """What a run may be asked from the machine that it runs on."""

    output_dir: str | None = None
    """Folder that gets a copy of the best challenger."""
