"""Identities: the same row is the same again, equal rows are told apart by their number."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from store.feedback.identity import FirstContents, KeyCounts, digest, identities, keys_of

batches = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=6)


@given(batches)
def test_a_tally_counts_what_came_before(batches: list[list[int]]) -> None:
    key_counts, counts = KeyCounts(), Counter[int]()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(counts[key])
            counts[key] += 1
        assert key_counts.count_earlier(np.array(batch, dtype=np.uint64)).tolist() == expected


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=8), max_size=6))
def test_contents_remember_the_first(batches: list[list[tuple[int, int]]]) -> None:
    contents, first = FirstContents(), dict[int, int]()
    for batch in batches:
        expected = [first.setdefault(key, value) != value for key, value in batch]
        keys = np.array([key for key, _ in batch], dtype=np.uint64)
        values = np.array([value for _, value in batch], dtype=np.uint64)
        assert contents.contradict(keys, values).tolist() == expected


def test_content_identifies_and_equal_rows_are_numbered() -> None:
    first, second, third = identities(["{}", '{"x":1}', "{}"])
    assert first.startswith("h:")
    assert first.endswith("#0")
    assert third == first[:-1] + "1"
    assert second[:-2] != first[:-2]
    assert identities(["{}"]) == [first]


def test_numbers_go_on_within_a_file() -> None:
    key_counts = KeyCounts()
    identities(["{}", "{}"], key_counts=key_counts)
    assert identities(["{}"], key_counts=key_counts)[0].endswith("#2")


def test_time_tells_equal_records_apart() -> None:
    first, second, none = identities(["{}"] * 3, times=["2024-01-01", "2024-01-02", None])
    assert len({first[:-2], second[:-2], none[:-2]}) == 3
    assert none == identities(["{}"])[0]


def test_ids_go_before_content_and_predictions_before_ids() -> None:
    names = identities(["{}"] * 3, ids=["a", "b", None], prediction_ids=["p", None, None])
    assert names[:2] == ["p:p", "i:b"]
    assert names[2].startswith("h:")


def test_no_rows() -> None:
    assert identities([]) == []


def test_no_rows_have_no_identities() -> None:
    assert identities([], prediction_ids=[], ids=[], times=[]) == []


def test_keys_are_halves_of_digests() -> None:
    digests = digest(["a", "b", "a"])
    assert len(digests) == 48
    keys = keys_of(digests)
    assert keys[0] == keys[2] != keys[1]
