"""The fast way of reading and the contract agree."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings

from configs.loading import load_use_case
from configs.schema import FieldConfig, RecordConfig, TargetConfig
from configs.settings import CHECKOUT
from features.records.contract import LabelContract, RecordContract
from features.records.example import example_record
from features.records.times import is_regular_time
from service.answers import bodies, requests
from service.answers.requests import RequestReader
from service.errors import Invalid, NotJson, ServiceError

CONFIGS = CHECKOUT / "configs"
EVERY_TYPE = RecordConfig(
    fields=(
        FieldConfig(name="amount", type="number", minimum=0, maximum=1e6),
        FieldConfig(name="any_number", type="number", nullable=True),
        FieldConfig(name="count", type="integer", minimum=-3, maximum=70000),
        FieldConfig(name="class", type="boolean"),
        FieldConfig(name="size", type="category", categories=("S", "M", "L", "")),
        FieldConfig(name="town", type="category", max_length=8, nullable=True),
        FieldConfig(name="note", type="text", max_length=12),
        FieldConfig(name="seen", type="datetime", nullable=True),
    )
)
TARGET = TargetConfig(task="multiclass", classes=("a", "b", "1"))
VALID: dict[str, Any] = {
    "amount": 3.5, "any_number": None, "count": 2, "class": True, "size": "M", "town": "Ulm",
    "note": "hello", "seen": "2024-05-17T09:30:00Z",
}  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-4, max_value=4),
    st.sampled_from([0, 70000, 70001, 2**53, 2**53 + 1, 10**30, 1e6, 1000000.0001, -0.0, 3.0, 0.1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=14),
    st.sampled_from(
        ["S", "m", "", "2024-05-17", "2024-13-01", "2024-05-17T09:30:00+14:00", "\x00", "0001-01-01"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


def dump(content: Any) -> bytes:
    """JSON with numbers of any size and halves of surrogate pairs, which orjson would not write."""
    return json.dumps(content).encode()


def reader(record: RecordConfig = EVERY_TYPE, most: int = 100) -> RequestReader:
    return RequestReader(RecordContract(record), LabelContract(TARGET), most)


def is_regular(field: str, value: Any) -> bool:
    """Whether a value is spelled as it is kept, so that nothing but the fast way should read it."""
    if field == "seen":
        return value is None or is_regular_time(value)
    (document,) = RecordContract(EVERY_TYPE).to_json(
        RecordContract(EVERY_TYPE).check_records([VALID | {field: value}]).columns
    )
    kept = orjson.loads(document)[field]
    same_type = type(kept) is type(value) or (type(kept) is float and type(value) is int)
    return bool(same_type and kept == value)


def read_fast(made: RequestReader, body: bytes) -> Any:
    """What the fast way makes of a body; None where it hands over to the general way."""
    made._read_slowly = lambda _body: None  # type: ignore[method-assign,assignment,return-value]
    return made.read(body)


@settings(max_examples=600, deadline=None)
@given(field=st.sampled_from(sorted(VALID)), value=SCALARS)
def test_the_fast_way_accepts_what_the_contract_accepts(field: str, value: Any) -> None:
    body = dump({"records": [VALID | {field: value}]})
    checked = RecordContract(EVERY_TYPE).check_records(json.loads(body)["records"])
    fast = read_fast(reader(), body)
    if fast is None:  # refused, or written in another way than the canonical one
        assert checked.problems or not is_regular(field, value)
    else:
        assert not checked.problems
        columns = reader().gather([fast])
        for name, column in checked.columns.items():
            assert columns[name].dtype == column.dtype
            np.testing.assert_array_equal(columns[name], column)


WITHOUT_TIMES = EVERY_TYPE.model_copy(update={"fields": EVERY_TYPE.fields[:-1]})


@settings(max_examples=600, deadline=None)
@given(
    record=st.sampled_from([EVERY_TYPE, WITHOUT_TIMES]), field=st.sampled_from(sorted(VALID)), value=SCALARS
)
@example(record=WITHOUT_TIMES, field="any_number", value=-0.0)
@example(record=WITHOUT_TIMES, field="note", value=":-0.0,")
def test_the_fast_way_writes_what_the_contract_writes(record: RecordConfig, field: str, value: Any) -> None:
    body = dump({"records": [VALID, VALID | {field: value}]})
    made = reader(record)
    fast = read_fast(made, body)
    if fast is not None:
        documents = made.documents([fast, fast], made.gather([fast, fast]))
        checked = RecordContract(record).check_records(json.loads(body)["records"] * 2)
        assert documents == [one.encode() for one in RecordContract(record).to_json(checked.columns)]


@settings(max_examples=300, deadline=None)
@given(records=st.lists(st.dictionaries(st.sampled_from([*VALID, "id", "other"]), SCALARS), max_size=3))
def test_reading_raises_nothing_but_its_own_errors(records: list[Any]) -> None:
    body = dump({"records": records})
    try:
        incoming = reader().read(body)
    except ServiceError as error:
        assert 400 <= error.status < 500
    else:
        assert incoming.count == len(records)


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=60))
def test_any_bytes_are_refused_in_words(body: bytes) -> None:
    with pytest.raises((Invalid, NotJson)):
        reader().read(body)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_images_are_the_same_either_way(data: st.DataObject) -> None:
    record = RecordConfig(fields=(FieldConfig(name="image", type="image", shape=(2, 3)),))
    pixel = st.one_of(st.integers(-1, 256), st.booleans(), st.floats(0, 255), st.none())
    row = st.lists(data.draw(st.sampled_from([st.integers(0, 255), pixel])), min_size=2, max_size=4)
    image = data.draw(st.one_of(st.lists(row, min_size=1, max_size=3), st.just([[1, 2, 3], [4, 5, 6]])))
    body = orjson.dumps({"records": [{"image": image}]})
    checked = RecordContract(record).check_records([{"image": image}])
    fast = read_fast(reader(record), body)
    whole = all(type(pixel) is int for line in image for pixel in line)
    if fast is None:
        assert checked.problems or not whole
    else:
        assert not checked.problems
        columns = reader(record).gather([fast])
        np.testing.assert_array_equal(columns["image"], checked.columns["image"])
        documents = RecordContract(record).to_json(checked.columns)
        assert reader(record).documents([fast], columns) == [one.encode() for one in documents]


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_a_valid_record_of_every_use_case_is_read_the_fast_way(name: str) -> None:
    use_case = load_use_case(CONFIGS / f"{name}.yaml")
    example = orjson.loads(orjson.dumps(example_record(use_case.record)))
    whole = {
        key: [[int(pixel) for pixel in row] for row in value] if isinstance(value, list) else value
        for key, value in example.items()
    }
    made = RequestReader(RecordContract(use_case.record), LabelContract(use_case.target), 10)
    assert read_fast(made, orjson.dumps({"records": [whole]})).count == 1


def test_requests_of_both_ways_are_gathered_in_order() -> None:
    made = reader()
    fast = made.read(orjson.dumps({"records": [VALID | {"count": 1}, VALID | {"count": 2}]}))
    slow = made.read(orjson.dumps({"records": [VALID | {"count": 3.0}]}))
    assert fast.columns is None
    assert slow.columns is not None
    assert made.gather([fast, slow, fast])["count"].tolist() == [1, 2, 3, 1, 2]


def test_ids_and_labels_come_along() -> None:
    body = orjson.dumps({"records": [VALID | {"id": 7}, VALID, VALID | {"id": "x"}], "labels": ["a", 1, "b"]})
    incoming = reader().read(body)
    assert incoming.record_ids == [7, None, "x"]
    assert incoming.labels == ["a", "1", "b"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "field 'records': missing"),
        ({"records": []}, "got a list of 0; allowed: a list of 1 to 100"),
        ({"records": [VALID] * 101}, "got a list of 101"),
        ({"records": {}}, "field 'records': got an object"),
        ({"records": [3]}, "got 3; allowed: an object"),
        ({"records": [VALID | {"amount": "3,5"}]}, "field 'amount': got '3,5' (text); allowed: a number"),
        ({"records": [VALID | {"size": "XL"}]}, "allowed: one of 'S', 'M', 'L'"),
        (
            {"records": [VALID, {k: v for k, v in VALID.items() if k != "note"}]},
            "record 1: field 'note': missing",
        ),
        ({"records": [VALID | {"id": True}]}, "field 'id': got true; allowed: a whole number, or text"),
        ({"records": [VALID | {"id": "x" * 501}]}, "field 'id'"),
        ({"records": [VALID], "labels": ["a", "b"]}, "got 2 labels; allowed: 1"),
        ({"records": [VALID], "labels": "a"}, "field 'labels': got 'a' (text)"),
        ({"records": [VALID], "labels": ["z"]}, "label: got 'z' (text)"),
        ([], "the body: got an array of 0; allowed: a JSON object"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_refused_is_named(body: Any, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        reader().read(orjson.dumps(body))
    assert words in refused.value.message


def test_not_a_number_is_named_by_its_field() -> None:
    body = orjson.dumps({"records": [VALID]}).replace(b"3.5", b"NaN")
    with pytest.raises(Invalid, match="field 'amount': got NaN"):
        reader().read(body)


def test_many_problems_are_counted_and_the_first_listed() -> None:
    with pytest.raises(Invalid) as refused:
        reader().read(orjson.dumps({"records": [VALID | {"amount": "x"}] * 30}))
    assert refused.value.details["total"] == 30
    assert len(refused.value.details["problems"]) == 20


@pytest.mark.parametrize("key", ["label", "lables", "Labels"])
@pytest.mark.parametrize("record", [VALID, VALID | {"count": 2.0}])
def test_labels_under_nearly_their_name_are_not_lost(key: str, record: dict[str, Any]) -> None:
    told = f"unknown key '{key}' \\(is 'labels' meant\\?\\); allowed: records, labels"
    with pytest.raises(Invalid, match=told):
        reader().read(dump({"records": [record], key: ["a"]}))
    assert reader().read(dump({"records": [record], key: ["a"], "labels": ["b"]})).labels == ["b"]


def test_other_keys_beside_the_records_are_the_caller_s_own() -> None:
    body = dump({"records": [VALID], "request": "7", "trace": {"label": 1}})
    fast = read_fast(reader(), body)
    assert (fast.count, fast.labels) == (1, None)


def test_a_body_of_thousands_of_keys_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def nearest(_name: str, allowed: Any) -> None:
        compared.extend(allowed)

    for module in (requests, bodies):
        monkeypatch.setattr(module, "nearest", nearest)
    many = {f"key{number}": 1 for number in range(20_000)}
    assert reader().read(dump({"records": [VALID], **many})).count == 1
    with pytest.raises(Invalid, match="field 'records': missing"):
        reader().read(dump(many))
    assert len(compared) < 1_000
