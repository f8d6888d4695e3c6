from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import FeaturesConfig, RecordConfig, UseCase
from features.encoders.contract import encoder_of, fit_encoder
from features.encoders.date_and_text_features import describe_texts
from features.encoders.mixed.addresses import _MAIL, _WEB, find_addresses
from features.encoders.mixed.buckets import MixedEncoder
from features.encoders.mixed.terms import MixedTermsEncoder
from features.records.contract import RecordContract

RECORD = RecordConfig.model_validate(
    {
        "fields": [
            {"name": "title", "type": "text", "nullable": True},
            {"name": "area", "type": "category", "nullable": True},
            {"name": "body", "type": "text", "nullable": True},
            {"name": "since", "type": "datetime", "nullable": True},
        ]
    }
)
CONTRACT = RecordContract(RECORD)
ROWS: list[dict[str, Any]] = [
    {"title": "red house", "body": "a red house", "area": "x", "since": "2020-01-01"},
    {"title": "red car", "body": "see www.red.example now", "area": "y"},
    {"title": "blue car"},
    {},
]
COLUMNS = CONTRACT.check_records(ROWS).all_or_raise()
ENCODER = MixedTermsEncoder.fit(COLUMNS, RECORD, FeaturesConfig())


def numbers_of(encoded: Any) -> Any:
    return int((encoded[0, 0] < 0).sum())


def test_numbers_come_first_and_are_those_of_the_other_encoder() -> None:
    encoded = ENCODER.encode(COLUMNS)
    assert encoded.shape == (4, *ENCODER.input_shape)
    count = numbers_of(encoded)
    np.testing.assert_array_equal(encoded[:, 0, :count], np.tile(-1 - np.arange(count), (4, 1)))
    assert (encoded[:, 0, count:] >= 0).all()
    buckets = MixedEncoder.fit(COLUMNS, RECORD, FeaturesConfig())
    np.testing.assert_array_equal(encoded[:, 1, :count], buckets.encode(COLUMNS)[:, :count])
    assert ENCODER.feature_names[:count] == buckets.feature_names[:count]


def test_the_same_word_of_two_fields_has_two_places_of_one_parity() -> None:
    alone = CONTRACT.check_records([{"title": "red"}, {"body": "red"}]).all_or_raise()
    encoded = ENCODER.encode(alone)
    title, body = ({int(place) for place, weight in row.T if place >= 0 and weight} for row in encoded)
    assert title
    assert body
    assert not title & body
    assert {place % 2 for place in title} == {place % 2 for place in body} == {0, 1}
    words = [name for name in ENCODER.feature_names if name in ("title:red", "body:red")]
    assert words == ["title:red", "body:red"]


def test_the_terms_of_a_row_have_length_one_however_many_fields_it_has() -> None:
    encoded = ENCODER.encode(COLUMNS)
    lengths = np.linalg.norm(encoded[:, 1, numbers_of(encoded) :], axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0], atol=1e-6)


def test_the_state_is_json_and_says_which_encoder_it_is_of() -> None:
    state = json.loads(json.dumps(ENCODER.to_state()))
    again = encoder_of("mixed", state).from_state(state)
    assert isinstance(again, MixedTermsEncoder)
    np.testing.assert_array_equal(again.encode(COLUMNS), ENCODER.encode(COLUMNS))
    old = MixedEncoder.fit(COLUMNS, RECORD, FeaturesConfig()).to_state()
    assert encoder_of("mixed", old) is MixedEncoder


@pytest.mark.parametrize(
    ("estimator", "expected"), [("keras_mixed", MixedEncoder), ("catboost_mixed", MixedTermsEncoder)]
)
def test_the_estimator_decides_which_encoder_learns(estimator: str, expected: type) -> None:
    use_case = UseCase.model_validate(
        {
            "name": "any",
            "title": "Any",
            "kind": "mixed",
            "record": RECORD.model_dump(mode="json"),
            "target": {"task": "binary", "classes": ["no", "yes"]},
            "model": {"estimator": estimator},
        }
    )
    assert type(fit_encoder(use_case, COLUMNS)) is expected


def test_records_without_texts_have_numbers_only() -> None:
    record = RecordConfig.model_validate({"fields": [{"name": "n", "type": "number"}]})
    columns = RecordContract(record).check_records([{"n": 1}, {"n": 3}]).all_or_raise()
    encoder = MixedTermsEncoder.fit(columns, record, FeaturesConfig())
    assert encoder.encode(columns)[:, 1].tolist() == [[-1.0], [1.0]]


PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "www.",
        "foo.bar",
        "me@x.de",
        "a.b@c-d.org",
        "/p?x=1",
        "'",
        ">",
        " ",
        "\x1f",
        "\x85",
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join))
def test_addresses_are_those_of_a_search_of_the_whole_text(text: str) -> None:
    assert find_addresses(text) == (_WEB.findall(_MAIL.sub(" ", text)), _MAIL.findall(text))


@given(st.text())
def test_shares_of_characters_are_those_that_each_character_says(text: str) -> None:
    length = max(len(text), 1)
    expected = [sum(map(rule, text)) / length for rule in (str.isdigit, str.isupper, str.isspace)]
    assert describe_texts(np.array([text], dtype=object))[0, 2:].tolist() == expected


def test_a_hash_of_a_pair_goes_on_from_that_of_its_field() -> None:
    """Versions of earlier releases counted each term in the bucket of the field and the term in one."""
    columns = CONTRACT.check_records([{"body": "one two three"}]).all_or_raise()
    encoder = MixedEncoder.fit(COLUMNS, RECORD, FeaturesConfig())
    row = dict(zip(encoder.feature_names, encoder.encode(columns)[0].tolist(), strict=True))
    for first, second in pairwise(["one", "two", "three"]):
        assert row[f"bucket:{crc32(f'body{chr(31)}{first} {second}'.encode()) % 1024}"] > 0
