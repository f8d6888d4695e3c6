"""Types that decode and check a predict request in one pass, made from the record's configuration."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Optional

import msgspec

from configs.schema import FieldConfig
from features.records.contract import RecordContract
from features.records.scalars.numbers import LARGEST_INTEGER

BYTES = (0.0, 255.0)
"""Range of images whose pixels are levels already."""


def request_type(contract: RecordContract, *, refuse_unknown: bool = False, only_known: bool = False) -> Any:
    """Types that accept what the contract accepts, save for forms that are rare (pictures, 3.0 for 3).

    Args:
        refuse_unknown: whether a field that the contract does not have is refused.
        only_known: whether a key beside `records` and `labels` is.
    """
    fields: list[Any] = []
    for index, config in enumerate(contract.record.fields):
        kind = _type_of(config)
        entry = (f"f{index}", Optional[kind], None) if config.nullable else (f"f{index}", kind)  # noqa: UP045
        fields.append(entry)
    fields.append(("own_id", str | int | None, None))
    rename = {f"f{index}": config.name for index, config in enumerate(contract.record.fields)}
    if (key := contract.record.group_key) is not None:
        fields.append(("own_group", str | int | None, None))
        rename["own_group"] = key
    record = msgspec.defstruct(
        "Record",
        fields,
        rename=rename | {"own_id": "id"},
        gc=False,
        kw_only=True,
        forbid_unknown_fields=refuse_unknown,
    )
    parts: list[Any] = [("records", list[record]), ("labels", list[Any] | None, None)]  # type: ignore[valid-type]
    return msgspec.defstruct("Request", parts, gc=False, forbid_unknown_fields=only_known)


def _type_of(config: FieldConfig) -> Any:
    low = -math.inf if config.minimum is None else config.minimum
    high = math.inf if config.maximum is None else config.maximum
    match config.type:
        case "number":
            return _bounded(low, high)
        case "integer":
            least, most = max(low, -LARGEST_INTEGER), min(high, LARGEST_INTEGER)
            return Annotated[int, msgspec.Meta(ge=math.ceil(least), le=math.floor(most))]
        case "boolean":
            return bool
        case "image":
            return _pixels_of(config)
        case "category" if config.categories:
            return Literal[tuple(config.categories)]
        case _:
            return Annotated[str, msgspec.Meta(max_length=config.max_length)]


def _pixels_of(config: FieldConfig) -> Any:
    pixels: Any = int if config.range == BYTES else float
    for _ in config.shape or ():
        pixels = list[pixels]
    return pixels


def _bounded(low: float, high: float) -> Any:
    if low > -math.inf and high < math.inf:
        return Annotated[float, msgspec.Meta(ge=low, le=high)]
    if low > -math.inf:
        return Annotated[float, msgspec.Meta(ge=low)]
    return Annotated[float, msgspec.Meta(le=high)] if high < math.inf else float
