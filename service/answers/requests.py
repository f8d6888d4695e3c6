"""Reading the body of a predict request, fast when it is as it should be.

The fast way decodes and checks in one pass, with types made from the record's configuration.
Whatever it refuses is read again the general way, where `RecordContract` decides and words the
reasons: what is accepted, and every message, is the contract's.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np
import orjson

from configs.schema import FieldConfig, RecordConfig
from configs.spelling.near_names import nearest
from features.errors import Problem
from features.records.contract import Columns, LabelContract, RecordContract, concat
from features.records.error_messages import describe
from features.records.fields import Field
from features.records.ids import is_plain_id, read_id
from features.records.scalars.numbers import load_numbers
from features.records.scalars.texts import load_words
from service.answers.bodies import MOST_KEYS, ensure_no_key_twice, listed, parse_object
from service.answers.record_types import BYTES, request_type
from service.errors import SHOWN, Invalid

SMALL_PICTURE = 64 * 64 * 3
"""Numbers of a shape, up to which a picture is decoded in a fraction of a millisecond."""
_AS_SENT = frozenset({"number", "integer", "boolean", "category", "text", "image"})
_NEGATIVE_ZERO = (b":-0.0,", b":-0.0}")
_REFUSED = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


@dataclass(slots=True)
class PredictRequest:
    """The checked records of one request."""

    count: int
    rows: list[Any] | None
    """Decoded the fast way, one a record; else None, and `columns` are set."""
    columns: Columns | None
    record_ids: list[str | int | None] | None
    """The records' own ids; None where no record has one."""
    labels: list[str] | None
    """True labels sent beside the records."""
    groups: list[str | None] | None = None
    """What the records are grouped by; None where a field says it, or nothing does."""

    def own_ids(self) -> list[str | None] | None:
        """The records' own ids as the log has them."""
        if self.record_ids is None:
            return None
        return [None if own_id is None else str(own_id) for own_id in self.record_ids]


def decodes_long(config: FieldConfig) -> bool:
    """Whether a field takes pictures of any size, or of a large one, whose decoding takes up to seconds."""
    return config.resize is not None or math.prod(config.shape or (0,)) > SMALL_PICTURE


class RequestReader:
    """Reads `{"records": [...], "labels": [...]}` for one use case.

    Args:
        refuse_unknown: whether a record with a field that the use case does not have is refused.
        configured: what a record may be now, where `contract` is that of a version that was made before; what
            only the version refuses is told as that.
        version: its number.
    """

    def __init__(
        self,
        contract: RecordContract,
        labels: LabelContract,
        max_records: int,
        *,
        refuse_unknown: bool = False,
        configured: RecordConfig | None = None,
        version: int | None = None,
    ) -> None:
        self.contract = contract
        is_older = configured is not None and configured != contract.record
        self._configured = RecordContract(configured) if configured is not None and is_older else None
        self._version = version
        self.labels = labels
        self.max_records = max_records
        self._refuse_unknown = refuse_unknown
        self._decode, self._decode_with_others = (
            msgspec.json.Decoder(
                request_type(contract, refuse_unknown=refuse_unknown, only_known=only_known)
            ).decode
            for only_known in (True, False)
        )
        self._id = attrgetter("own_id")
        self._group_key = contract.record.group_key
        places = list(enumerate(contract.record.fields))
        self.decodes_pictures = any(map(decodes_long, contract.record.fields))
        self.has_images = any(config.type == "image" for config in contract.record.fields)
        self._images = [(f"f{i}", config) for i, config in places if config.type == "image"]
        numbers = [i for i, config in places if config.type in ("number", "integer", "boolean")]
        # One field alone would not make a row of them.
        self._numbers = itemgetter(*numbers) if len(numbers) > 1 else None
        self._number_names = [contract.record.fields[i].name for i in numbers]
        words = [i for i, config in places if config.type in ("category", "text")]
        self._words = itemgetter(*words) if len(words) > 1 else None
        self._word_names = [contract.record.fields[i].name for i in words]
        together = {*(numbers if len(numbers) > 1 else ()), *(words if len(words) > 1 else ())}
        self._others = [one for one in places if one[0] not in together]
        kinds = {config.type for config in contract.record.fields}
        self._dumps_as_sent = kinds <= _AS_SENT
        """Whether what is decoded of a record is what its canonical JSON has, but for pictures."""
        self._has_numbers = "number" in kinds
        self._image_places = [i for i, config in places if config.type == "image"]
        self._texts = [
            (f"f{i}", contract.fields[config.name])
            for i, config in places
            if must_be_looked_at(contract.fields[config.name])
        ]

    def read(self, body: bytes) -> PredictRequest:
        """Decode and check a request.

        Raises:
            NotJson: the body is no JSON.
            RepeatedKey: labels came with it, and a key is there twice.
            Invalid: something in it is refused; all problems are listed, the first 20 in full.
        """
        return self.read_fast(body) or self._read_slowly(body)

    def read_fast(self, body: bytes) -> PredictRequest | None:
        """Decode and check a request that is as it should be; None: `read` has to see. Decodes no pictures.

        Raises:
            RepeatedKey: labels came with it, and a key is there twice.
            Invalid: one of them is refused.
        """
        try:
            try:
                request = self._decode(body)
            except msgspec.ValidationError:
                request = self._decode_with_others(body)
                if _meant_for_labels(msgspec.json.decode(body, type=dict[str, msgspec.Raw])) is not None:
                    return None
            rows = request.records
            if not 0 < len(rows) <= self.max_records:
                return None
            for name, config in self._images:
                for row in rows:
                    setattr(row, name, self._levels(getattr(row, name), config))
            for name, field in self._texts:
                values = [value for row in rows if (value := getattr(row, name)) is not None]
                if not field.accepts(values):  # type: ignore[attr-defined]
                    return None
        except _REFUSED:
            return None
        ids: list[str | int | None] | None = list(map(self._id, rows))
        if ids is None or ids.count(None) == len(ids):
            ids = None
        elif not all(map(is_plain_id, ids or (), repeat(self.contract.record.missing))):
            return None
        groups: list[str | None] | None = None
        if self._group_key is not None:
            arrived = [row.own_group for row in rows]
            if not all(map(is_plain_id, arrived, repeat(self.contract.record.missing))):
                return None
            groups = [None if group is None else str(group) for group in arrived]
        labels = None
        if request.labels is not None:
            ensure_no_key_twice(body)
            labels = self._check_labels(request.labels, len(rows))
        return PredictRequest(len(rows), rows, None, ids, labels, groups)

    def check(self, records: Sequence[Any]) -> PredictRequest:
        """Check records that are decoded already.

        Raises:
            Invalid: as in `read`.
        """
        checked = self.contract.check_records(records)
        own_ids, bad = self._read_ids(records, "id")
        key = self._group_key
        groups, ungrouped = (None, []) if key is None else self._read_ids(records, key)
        unknown = self.contract.find_unknown(records, checked.problems) if self._refuse_unknown else []
        problems = [*checked.problems, *bad, *ungrouped, *unknown]
        if problems:
            raise invalid_records(self.with_notes(problems, records.__getitem__), len(records))
        has_ids = any(own_id is not None for own_id in own_ids)
        texts = None if groups is None else [None if group is None else str(group) for group in groups]
        return PredictRequest(len(records), None, checked.columns, own_ids if has_ids else None, None, texts)

    def with_notes(self, problems: list[Problem], record_of: Callable[[int], Any]) -> list[Problem]:
        """The same, in order; of the first ones it is said where the configuration has changed since.

        Args:
            record_of: gives the record of a row, as JSON would give it.
        """
        problems.sort(key=lambda problem: problem.row)
        if self._configured is None:
            return problems
        return [self._with_note(one, record_of(one.row)) for one in problems[:SHOWN]] + problems[SHOWN:]

    def _with_note(self, problem: Problem, record: Any) -> Problem:
        assert self._configured is not None
        field = self._configured.fields.get(problem.field)
        if not isinstance(record, dict) or (field is None and problem.field not in self.contract.fields):
            return problem
        is_picture = field is not None and field.config.type == "image"
        if field is not None and (is_picture or field.check([record.get(problem.field)])[1]):
            return problem
        then = "has no such field" if field is None else "allows it"
        note = f"version {self._version} was made before the configuration changed; the next one {then}"
        return replace(problem, message=f"{problem.message} ({note})")

    def _read_ids(self, records: Sequence[Any], key: str) -> tuple[list[str | int | None], list[Problem]]:
        """What records have under a key of ids, whole numbers as they are, and what is wrong with it."""
        own_ids: list[str | int | None] = []
        problems = []
        for row, record in enumerate(records):
            arrived = record.get(key) if isinstance(record, dict) else None
            try:
                own_id = read_id(arrived, self.contract.record.missing)[0]
            except ValueError as error:
                own_id = None
                problems.append(Problem(row, key, f"field '{key}': {error}"))
            own_ids.append(arrived if type(arrived) is int else own_id)
        return own_ids, problems

    def gather(self, requests: Sequence[PredictRequest]) -> Columns:
        """Columns of the records of several requests, in order."""
        if all(request.columns is None for request in requests):
            return self._load([row for request in requests for row in request.rows or ()])
        return concat(
            [self._load(request.rows or []) if request.columns is None else request.columns
             for request in requests]
        )  # fmt: skip

    def documents(self, requests: Sequence[PredictRequest], columns: Columns) -> list[bytes]:
        """Canonical JSON of the records of several requests, in order.

        Args:
            columns: of these records, as `gather` gives them.
        """
        if self._dumps_as_sent and all(request.columns is None for request in requests):
            names, images = self.contract.names, self._image_places
            documents = []
            for request in requests:
                for row in request.rows or ():
                    values: Sequence[Any] = msgspec.structs.astuple(row)
                    if images:
                        values = _with_base64(values, images)
                    documents.append(orjson.dumps(dict(zip(names, values, strict=False))))
            if not (self._has_numbers and any(map(_may_hold_negative_zero, documents))):
                return documents
        return [document.encode() for document in self.contract.to_json(columns)]

    def values_of(self, request: PredictRequest, field: str) -> list[Any]:
        """What each record has in a field, as its canonical JSON has it; None where it has nothing."""
        contract = self.contract.fields[field]
        if request.columns is not None:
            return contract.dump(request.columns[field])
        place = [one.name for one in self.contract.record.fields].index(field)
        values = [getattr(row, f"f{place}") for row in request.rows or ()]
        if contract.config.type == "image":
            return contract.dump(self._load_images(values, contract.config))
        return contract.dump(contract.load(values))

    def _load(self, rows: list[Any]) -> Columns:
        arrived = [msgspec.structs.astuple(row) for row in rows]
        columns: Columns = {}
        if self._numbers is not None:
            together = load_numbers(list(map(self._numbers, arrived)))
            columns = dict(zip(self._number_names, together.T, strict=True))
        if self._words is not None:
            words = load_words(list(map(self._words, arrived)), len(self._word_names))
            columns.update(zip(self._word_names, words.T, strict=True))
        for place, config in self._others:
            values = [row[place] for row in arrived]
            columns[config.name] = (
                self._load_images(values, config)
                if config.type == "image"
                else self.contract.fields[config.name].load(values)
            )
        return columns

    def _load_images(self, column: Sequence[bytes], config: FieldConfig) -> Any:
        assert config.shape is not None
        return np.frombuffer(b"".join(column), dtype=np.uint8).reshape(len(column), *config.shape)

    def _levels(self, pixels: list[list[Any]], config: FieldConfig) -> bytes:
        """The levels of one image.

        Raises:
            ValueError: it has another shape, or a value outside the range.
        """
        assert config.shape is not None
        if config.range != BYTES:
            column, bad = self.contract.fields[config.name].check([pixels])
            if bad:
                raise ValueError(bad[0])
            return bytes(column.tobytes())
        height, width = config.shape[:2]
        if len(pixels) != height or set(map(len, pixels)) != {width}:
            raise ValueError("shape")
        if len(config.shape) == 2:
            return b"".join(map(bytearray, pixels))  # which takes a third of what `bytes` does
        flat = list(chain.from_iterable(pixels))
        if set(map(len, flat)) != {config.shape[2]}:
            raise ValueError("channels")
        return b"".join(map(bytearray, flat))

    def _read_slowly(self, body: bytes) -> PredictRequest:
        content = parse_object(body)
        records = listed(content, "records", self.max_records)
        incoming = self.check(records)
        if (stray := _meant_for_labels(content)) is not None:
            raise Invalid(f"unknown key {stray!r:.80} (is 'labels' meant?); allowed: records, labels")
        labels = content.get("labels")
        if labels is not None:
            ensure_no_key_twice(body)
            if not isinstance(labels, list):
                raise Invalid(f"field 'labels': got {describe(labels)}; allowed: one label a record")
            incoming.labels = self._check_labels(labels, len(records))
        return incoming

    def _check_labels(self, labels: list[Any], count: int) -> list[str]:
        if len(labels) != count:
            raise Invalid(f"field 'labels': got {len(labels)} labels; allowed: {count}, one a record")
        checked, reasons = self.labels.check(labels)
        problems = [Problem(row, "label", reason) for row, reason in enumerate(reasons) if reason is not None]
        if problems:
            raise invalid_records(problems, count)
        return [label for label in checked if label is not None]


def _meant_for_labels(content: Mapping[str, Any]) -> str | None:
    """A key of a request without `labels` that is nearly that: what came to be learned would be lost."""
    if "labels" in content:
        return None
    beside = (key for key in islice(content, MOST_KEYS) if key != "records")
    return next((key for key in beside if nearest(key[:80], ["labels"])), None)


def _with_base64(values: Sequence[Any], images: Sequence[int]) -> list[Any]:
    """The values of a record, its pictures as `ImageField.dump` writes them."""
    written = list(values)
    for place in images:
        written[place] = base64.b64encode(written[place]).decode("ascii")
    return written


def _may_hold_negative_zero(document: bytes) -> bool:
    """Whether a number may be -0.0, for which a column has 0.0, as one value has one text."""
    return any(text in document for text in _NEGATIVE_ZERO)


def invalid_records(problems: list[Problem], count: int) -> Invalid:
    """The error that names them; `count` is how many records there were."""
    problems.sort(key=lambda problem: problem.row)
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = f"record {first.row}: " if count > 1 else ""
    return Invalid(
        f"{place}{first.message}{more}",
        {
            "total": len(problems),
            "problems": [
                {"record": problem.row, "field": problem.field or None, "message": problem.message}
                for problem in problems[:SHOWN]
            ],
        },
    )


def must_be_looked_at(field: Field) -> bool:
    """Whether what the fast way decodes for a field may still be odd, so that `accepts` has to be asked."""
    kind = field.config.type
    open_words = kind == "text" or (kind == "category" and not field.config.categories)
    return open_words or kind == "datetime" or bool(getattr(field, "marked", ()))
