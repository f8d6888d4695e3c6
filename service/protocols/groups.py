"""What the records of an inference request are grouped by: a tensor of the key's name, or a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from configs.schema import RecordConfig
from features.errors import Problem
from features.records.ids import read_id
from service.errors import Invalid
from service.protocols.tensors import BYTES, Tensor

KINDS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", BYTES)
"""Datatypes that a tensor of groups may have: ids are texts or whole numbers."""


def read_groups(
    record: RecordConfig, tensor: Tensor | None, parameters: Mapping[str, Any] | None, count: int
) -> tuple[list[str | None] | None, list[Problem]]:
    """The group of each of the records, and why some are refused; None where a field says it, or nothing.

    Args:
        tensor: one value a record.
        parameters: those of the request; one of the key's name is the group of all its records.

    Raises:
        Invalid: the tensor has another datatype or shape, or both came.
    """
    key = record.group_key
    if key is None:
        return None, []
    arrived: Sequence[Any] = [(parameters or {}).get(key)] * count
    if tensor is not None:
        if key in (parameters or {}):
            raise Invalid(f"parameter '{key}': got it beside an input of that name; allowed: one of the two")
        _ensure_fits(tensor)
        arrived = tensor.values if isinstance(tensor.values, list) else tensor.values.ravel().tolist()
    groups: list[str | None] = []
    problems = []
    for row, value in enumerate(arrived):
        try:
            groups.append(read_id(value, record.missing)[0])
        except ValueError as error:
            groups.append(None)
            problems.append(Problem(row, key, f"field '{key}': {error}"))
    return groups, problems


def _ensure_fits(tensor: Tensor) -> None:
    if tensor.datatype not in KINDS:
        allowed = ", ".join(KINDS)
        raise Invalid(f"input '{tensor.name}': got datatype {tensor.datatype}; allowed: {allowed}")
    if any(size != 1 for size in tensor.shape[1:]):
        raise Invalid(f"input '{tensor.name}': got shape {list(tensor.shape)}; allowed: [n] or [n, 1]")
