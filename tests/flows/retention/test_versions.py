"""Which versions are old enough to go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.retention.versions import prunable
from models.production.contract import Version


def version(number: int, *aliases: str) -> Version:
    return Version("apples", number, "", {}, aliases, 0)


def test_the_newest_and_those_with_an_alias_stay() -> None:
    versions = [version(1, "original"), version(2), version(3, "previous"), *map(version, range(4, 9))]
    assert [one.version for one in prunable(versions, 4)] == [2, 4]
    assert [one.version for one in prunable(versions, 4, needed={2})] == [4]
    assert prunable(versions, 8) == []
    assert prunable([], 5) == []


@given(
    st.sets(st.integers(1, 60)),
    st.sets(st.integers(1, 60)),
    st.integers(1, 10),
    st.randoms(use_true_random=False),
)
def test_what_is_kept_does_not_depend_on_the_order(
    numbers: set[int], named: set[int], keep: int, random: object
) -> None:
    versions = [version(number, *(("production",) if number in named else ())) for number in numbers]
    gone = {one.version for one in prunable(versions, keep)}
    assert gone.isdisjoint(named)
    assert gone.isdisjoint(sorted(numbers)[-keep:])
    assert len(numbers) - len(gone) <= keep + len(named & numbers)
    random.shuffle(versions)  # type: ignore[attr-defined]
    assert {one.version for one in prunable(versions, keep)} == gone
