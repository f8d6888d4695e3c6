"""Options of one run, which override the configuration."""

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
    """Options of a run that is started on this machine."""

    output_dir: str | None = None
    """Folder that gets a copy of the best challenger."""
