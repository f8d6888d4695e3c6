"""What one record holds: its fields, and what may stand in each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.schema.base import ColumnName, Frozen

Epoch = Literal["s", "ms", "us", "ns"]
Side = Annotated[int, Field(gt=0, le=4096)]
FieldType = Literal["number", "integer", "boolean", "category", "text", "datetime", "image"]


class FieldConfig(Frozen):
    """One field of a record."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
    """Name of the field in JSON records; also its column in files unless `column` says otherwise."""
    type: FieldType
    """What values are: number, integer, boolean, category, text, datetime (ISO 8601) or image."""
    column: ColumnName | None = None
    """Column in CSV, JSONL and Parquet files, when it differs from `name`."""
    nullable: bool = False
    """Whether a record may leave the field out or send null; the encoder then treats it as missing."""
    minimum: float | None = None
    """Least value allowed (number, integer)."""
    maximum: float | None = None
    """Greatest value allowed (number, integer)."""
    categories: tuple[str, ...] = ()
    """Values allowed (category). Empty: any; those unknown to the model encode as none."""
    max_length: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000
    """Most characters allowed (category, text)."""
    epoch: Epoch | None = None
    """Unit in which numbers count from 1970, in UTC (datetime). Absent: a number is no time."""
    shape: Annotated[tuple[Side, ...], Field(min_length=2, max_length=3)] | None = None
    """Height and width in pixels, and 3 for red, green and blue; without the 3 images are grey (image)."""
    range: tuple[float, float] = (0.0, 255.0)
    """Values of the darkest and brightest pixel as sent (image); stored in 256 levels."""
    resize: Literal["fit", "crop", "stretch"] | None = None
    """How a PNG or JPEG of another size becomes one of `shape`: whole, on a ground; its middle, filling the
    shape; or out of proportion. Null: it is refused (image)."""

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Self:
        if self.type == "image" and self.shape is None:
            raise ValueError(f"field '{self.name}' is an image: `shape: [height, width]` is required")
        if self.type != "image" and (self.shape is not None or self.resize is not None):
            key = "resize" if self.shape is None else "shape"
            raise ValueError(f"field '{self.name}' has type {self.type}: `{key}` is for images only")
        if self.shape is not None and self.shape[2:] not in ((), (3,)):
            raise ValueError(
                f"field '{self.name}': got {self.shape[2]} channels; allowed: [height, width] for grey "
                "images, [height, width, 3] for colour"
            )
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.type not in ("number", "integer"):
            raise ValueError(
                f"field '{self.name}' has type {self.type}: bounds are for number and integer only"
            )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"field '{self.name}': minimum {self.minimum} is above maximum {self.maximum}")
        if self.categories and self.type != "category":
            raise ValueError(f"field '{self.name}' has type {self.type}: `categories` is for category only")
        if self.epoch is not None and self.type != "datetime":
            raise ValueError(f"field '{self.name}' has type {self.type}: `epoch` is for datetime only")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"field '{self.name}': categories repeat a value")
        if not self.range[0] < self.range[1]:
            raise ValueError(f"field '{self.name}': range {list(self.range)} must rise")
        if self.type == "image" and self.nullable:
            raise ValueError(f"field '{self.name}' is an image: it cannot be nullable")
        return self

    @property
    def source_column(self) -> str:
        """Column that holds the field in files."""
        return self.column or self.name


class RecordConfig(Frozen):
    """What one record holds."""

    fields: Annotated[tuple[FieldConfig, ...], Field(min_length=1)]
    """The fields that the model sees, in order."""
    id_column: ColumnName | None = None
    """Column in files that identifies a row; without it a row is known by its content."""
    group: ColumnName | None = None
    """Whose rows are learned from or held out together: a field, or another key of records, which is its
    column in files, such as customer_id. Absent: rows of one id and equal records are together."""
    source_column: ColumnName | None = None
    """Column in files that says whose label a row has; without it the file is one source."""
    time_column: ColumnName | None = None
    """Column in files with the time of a row; without it the time of arrival counts."""
    time_epoch: Epoch | None = None
    """Unit in which numbers in `time_column`, and in `event_time` of requests, count from 1970, in UTC."""
    missing: tuple[str, ...] = (
        "", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "\\N",
    )  # fmt: skip
    """Texts that mean "no value", in files and requests (all types but text)."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [field.name for field in self.fields]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"fields repeat the name '{repeated[0]}'")
        if reserved := sorted({"id", "label", "prediction_id"} & set(names)):
            raise ValueError(f"field name '{reserved[0]}' is reserved")
        return self

    @model_validator(mode="after")
    def _group_is_a_key(self) -> Self:
        taken = {"id", "label", "prediction_id", "record", "event_time", self.id_column, self.time_column}
        if self.group is not None and (not self.group or self.group in taken):
            raise ValueError(
                f"record.group: got '{self.group}'; allowed: a field, or another key beside id and time; "
                "rows of one id are together without it"
            )
        if any(field.name == self.group and field.type == "image" for field in self.fields):
            raise ValueError(f"record.group: got '{self.group}', an image; allowed: any other field")
        return self

    @property
    def group_key(self) -> str | None:
        """The key of a record that holds its group where no field does."""
        return None if self.group in {field.name for field in self.fields} else self.group
