"""Base of every part of a use case's description: immutable, and unknown keys are refused.

Wrong types and combinations that cannot work are refused as well, when the file is read, with the file, the
key, the value that arrived and what is allowed (see `configs.loading`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
