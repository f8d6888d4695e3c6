"""Inference requests of the Open Inference Protocol as checked records, and predictions as its responses."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
import numpy as np
import orjson

from configs.schema import FieldConfig
from configs.spelling.near_names import meant
from features.errors import Problem
from features.records.contract import RecordContract
from features.records.error_messages import describe
from features.records.fields import Column, Field
from features.records.ids import MAX_ID
from features.records.image_field import ImageField
from features.records.labels import join_labels
from service.answers.bodies import parse_object
from service.answers.requests import PredictRequest, invalid_records
from service.errors import Invalid
from service.http.exchange import Reply
from service.protocols.groups import read_groups
from service.protocols.signature import OUTPUTS, datatypes_allowed
from service.protocols.tensors import (
    BYTES,
    NUMBERS,
    Tensor,
    join_binary,
    read_listed,
    read_raw,
    write_listed,
    write_raw,
)

HEAD_LENGTH = b"inference-header-content-length"
WithNotes: TypeAlias = Callable[[list[Problem], Callable[[int], Any]], list[Problem]]
_PLACE = re.compile(r"^(.*?) - at `(?:key in )?\$\.?(.*?)`$", re.DOTALL)


class RequestedOutput(msgspec.Struct, gc=False):
    """An output that a request names."""

    name: str
    parameters: dict[str, Any] | None = None


class InputTensor(msgspec.Struct, gc=False):
    """An input of a request; its data are in `data`, or raw behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class InferRequest(msgspec.Struct, gc=False):
    """The JSON of a request."""

    inputs: list[InputTensor]
    outputs: list[RequestedOutput] | None = None
    parameters: dict[str, Any] | None = None
    id: str | None = None


def parse_request(body: bytes, head_length: str | None) -> tuple[InferRequest, memoryview]:
    """The JSON of a request, and the raw data behind it.

    Raises:
        NotJson, Invalid: it cannot be read.
    """
    head = len(body)
    if head_length is not None:
        head = _read_length(head_length, len(body))
    try:
        request = msgspec.convert(parse_object(body[:head]), InferRequest)
    except msgspec.ValidationError as error:
        match = _PLACE.match(str(error))
        message, place = match.groups() if match is not None else (str(error), "")
        raise Invalid(f"field '{place}': {message}" if place else f"the body: {message}") from error
    if request.id is not None and not (len(request.id) <= MAX_ID and request.id.isprintable()):
        raise Invalid(f"field 'id': got {describe(request.id)}; allowed: {MAX_ID} printable characters")
    return request, memoryview(body)[head:]


def read_tensors(request: InferRequest, raw: memoryview, contract: RecordContract) -> dict[str, Tensor]:
    """The inputs of a request by the name of their field, or of the key that records are grouped by.

    Raises:
        Invalid: one is of neither, comes twice, or is not as its shape and datatype say.
    """
    tensors: dict[str, Tensor] = {}
    for request_input in request.inputs:
        _ensure_readable(request_input, contract, tensors)
        tensors[request_input.name], raw = _read_tensor(request_input, raw)
    if len(raw):
        raise Invalid(f"the body: got {len(raw)} bytes behind the last input; allowed: none")
    return tensors


def _ensure_readable(request_input: InputTensor, contract: RecordContract, earlier: Container[str]) -> None:
    """Refuse an unknown or repeated name, an impossible shape, and an unknown datatype."""
    name, shape = request_input.name, request_input.shape
    key = contract.record.group_key
    if name not in contract.fields and (key is None or name != key):
        names = [*contract.names, *([] if key is None else [key])]
        raise Invalid(f"input {name[:80]!r}: unknown{meant(name[:80], names)}; allowed: {', '.join(names)}")
    if name in earlier:
        raise Invalid(f"input '{name}': got it twice; allowed: once")
    if not 0 < len(shape) <= 4 or min(shape) < 0 or max(shape) >= 2**31:
        raise Invalid(f"input '{name}': got shape {str(shape)[:80]}; allowed: 1 to 4 sizes")
    if request_input.datatype not in (*NUMBERS, BYTES):
        allowed = ", ".join([*NUMBERS, BYTES])
        raise Invalid(f"input '{name}': got datatype {request_input.datatype[:40]!r}; allowed: {allowed}")


def _read_tensor(request_input: InputTensor, raw: memoryview) -> tuple[Tensor, memoryview]:
    """The tensor of an input, and what is left of the raw data."""
    name, datatype, shape = request_input.name, request_input.datatype, tuple(request_input.shape)
    size = (request_input.parameters or {}).get("binary_data_size")
    if size is None:
        if request_input.data is None:
            raise Invalid(f"input '{name}': got no data; allowed: `data`, or `binary_data_size`")
        return read_listed(name, datatype, shape, request_input.data), raw
    if type(size) is not int or not 0 <= size <= len(raw):
        raise Invalid(
            f"input '{name}': got binary_data_size {str(size)[:40]}; allowed: at most the {len(raw)} bytes "
            "left behind the JSON, whose length is told by the header inference-header-content-length"
        )
    return read_raw(name, datatype, shape, raw[:size]), raw[size:]


def to_records(
    tensors: Mapping[str, Tensor],
    contract: RecordContract,
    max_records: int,
    parameters: Mapping[str, Any] | None = None,
    with_notes: WithNotes = lambda problems, _record_of: problems,
) -> PredictRequest:
    """Checked records of tensors, whose first size is the number of records.

    Args:
        parameters: those of the request.
        with_notes: as `RequestReader.with_notes`.

    Raises:
        Invalid: an input is missing or of another length, or a record breaks the contract.
    """
    counts = {tensor.shape[0] for tensor in tensors.values()}
    if len(counts) != 1:
        arrived = f"first sizes {sorted(counts)}" if counts else "none"
        raise Invalid(f"field 'inputs': got {arrived}; allowed: tensors of one number of records")
    (count,) = counts
    if not 0 < count <= max_records:
        raise Invalid(f"field 'inputs': got tensors of {count} records; allowed: 1 to {max_records}")
    columns, problems = {}, []
    for name, field in contract.fields.items():
        column, bad = read_column(field, tensors.get(name), count)
        columns[name] = column
        problems += [Problem(row, name, message) for row, message in bad.items()]
    key = contract.record.group_key
    groups, ungrouped = read_groups(
        contract.record, None if key is None else tensors.get(key), parameters, count
    )
    problems += ungrouped
    if problems:
        record_of = partial(_record_of, tensors, contract)
        raise invalid_records(with_notes(problems, record_of), count)
    return PredictRequest(count, None, columns, None, None, groups)


def _record_of(tensors: Mapping[str, Tensor], contract: RecordContract, row: int) -> dict[str, Any]:
    """What came of a record, without its pictures."""
    record = {}
    for name, tensor in tensors.items():
        if name in contract.fields and contract.fields[name].config.type != "image":
            value = tensor.values[row]
            record[name] = np.ravel(value)[0].item() if isinstance(value, np.ndarray | np.generic) else value
    return record


def read_column(field: Field, tensor: Tensor | None, count: int) -> tuple[Column, dict[int, str]]:
    """The column that a tensor holds, and why values are refused, by row; without a tensor all are missing.

    Raises:
        Invalid: the datatype or the shape is not one of the field's.
    """
    if tensor is None:
        return field.check([None] * count)
    config = field.config
    _ensure_fits(config, tensor)
    values = tensor.values
    if isinstance(values, list):
        if isinstance(field, ImageField):
            values = [values[at : at + field.size] for at in range(0, len(values), field.size)]
        return field.check(values)
    column = values.astype(np.float64).reshape(count, *(config.shape or ())) + 0.0
    bad = field.check_column(column)
    if not isinstance(field, ImageField):
        places = list(bad)
        column[places], worded = field.check(column[places].tolist()) if places else (column[places], {})
        bad = {places[place]: reason for place, reason in worded.items()}
    else:
        if bad:  # what cannot be a pixel cannot become a level
            column[list(bad)] = config.range[0]
        column = field.quantise(column)
    return column, bad


def _ensure_fits(config: FieldConfig, tensor: Tensor) -> None:
    allowed = datatypes_allowed(config)
    if tensor.datatype not in allowed:
        raise Invalid(f"input '{tensor.name}': got datatype {tensor.datatype}; allowed: {', '.join(allowed)}")
    sizes = tuple(size for size in tensor.shape[1:] if size != 1)
    if config.shape is None:
        if sizes:
            raise Invalid(f"input '{tensor.name}': got shape {list(tensor.shape)}; allowed: [n] or [n, 1]")
        return
    flat = math.prod(config.shape)
    if sizes not in (tuple(size for size in config.shape if size != 1), (flat,)):
        raise Invalid(
            f"input '{tensor.name}': got shape {list(tensor.shape)}; allowed: "
            f"[n, {', '.join(map(str, config.shape))}] or [n, {flat}]"
        )


def render(
    request_id: str | None, requested: Mapping[str, bool], predictions: bytes, separator: str
) -> Reply:
    """The response of predict as one of the protocol.

    Args:
        requested: name of each output, and whether as raw data.
        predictions: the JSON that predict answers.
        separator: joins the labels of a record, where it may have several.
    """
    content = orjson.loads(predictions)
    response = _describe_answer(request_id, content["model"])
    values = _outputs(content["predictions"], separator)
    response["outputs"], raw_outputs = [], []
    for name, is_raw in requested.items():
        if is_raw:
            output, raw = write_raw(name, OUTPUTS[name], values[name])
            raw_outputs.append(raw)
        else:
            output = write_listed(name, OUTPUTS[name], values[name])
        response["outputs"].append(output)
    if not any(requested.values()):
        return Reply(200, orjson.dumps(response))
    body, head_length = join_binary(response, raw_outputs)
    content_type = (b"content-type", b"application/octet-stream")
    return Reply(200, body, [content_type, (HEAD_LENGTH, b"%d" % head_length)])


def _describe_answer(request_id: str | None, model: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a response that come before its outputs."""
    response: dict[str, Any] = {"model_name": model["name"]}
    if model["version"] is not None:
        response["model_version"] = str(model["version"])
    if request_id:
        response["id"] = request_id
    response["parameters"] = {"source": model["source"]}
    return response


def requested_outputs(request: InferRequest) -> dict[str, bool]:
    """Name of each output that a request names, and whether as raw data; where none is named, all.

    Raises:
        Invalid: there is no such output, or its parameters name an extension that is not supported.
    """
    binary = (request.parameters or {}).get("binary_data_output") is True
    requested = {}
    for output in request.outputs or [RequestedOutput(name) for name in OUTPUTS]:
        if output.name not in OUTPUTS:
            name = output.name[:80]
            raise Invalid(f"output {name!r}: unknown{meant(name, OUTPUTS)}; allowed: {', '.join(OUTPUTS)}")
        parameters = output.parameters or {}
        for extension in ("classification", "shared_memory_region"):
            if extension in parameters:
                raise Invalid(f"output '{output.name}': got parameter '{extension}', which is not supported")
        requested[output.name] = parameters.get("binary_data", binary) is True
    return requested


def _outputs(predictions: list[dict[str, Any]], separator: str) -> dict[str, Any]:
    labels = [
        prediction["label"] if "label" in prediction else join_labels(prediction["labels"], separator)
        for prediction in predictions
    ]
    # A version that is tried may know other classes than the one that serves.
    classes = list(dict.fromkeys(name for prediction in predictions for name in prediction["scores"]))
    scores = [[prediction["scores"].get(name, 0.0) for name in classes] for prediction in predictions]
    return {
        "label": np.array(labels, dtype=object),
        "score": np.array([prediction["score"] for prediction in predictions], dtype=np.float64),
        "scores": np.array(scores, dtype=np.float64).reshape(len(predictions), len(classes)),
        "classes": np.array(classes, dtype=object),
        "id": np.array([prediction["id"] for prediction in predictions], dtype=object),
    }


def _read_length(arrived: str, length: int) -> int:
    """How many bytes of a body are its JSON."""
    if arrived.isascii() and arrived.isdigit() and len(arrived) < 12 and int(arrived) <= length:
        return int(arrived)
    raise Invalid(
        f"header 'inference-header-content-length': got {arrived[:40]!r}; allowed: a number of bytes up to "
        f"the {length} of the body"
    )
