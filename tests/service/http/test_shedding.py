"""The order in which connections are closed, by who waits, how long, and how many are of one address."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from service.http.connections.shedding import (
    EMPTY_SECONDS,
    RANKED_SECONDS,
    Claim,
    Ranking,
    Waits,
    slowest_body,
)


@dataclass(eq=False)
class Connection:
    """One that waits, or is worked for."""

    address: str
    worth: Claim | None
    since: float = 0.0
    received: int = 0

    def claim(self, now: float) -> Claim | None:  # noqa: ARG002
        return self.worth


def idle(address: str, credit: float = 0.0) -> Connection:
    return Connection(address, Claim(Waits.IDLE, credit))


def half(address: str, credit: float = 0.0) -> Connection:
    return Connection(address, Claim(Waits.REQUEST, credit))


def unread(address: str, credit: float = 0.0) -> Connection:
    return Connection(address, Claim(Waits.READER, credit))


def order(connections: list[Connection]) -> list[Connection]:
    """All that are closed, one after the other."""
    ranking: Ranking[Connection] = Ranking()
    left, taken = list(connections), []
    while (found := ranking.take(left, idle("new"), 0.0)) is not None:
        left.remove(found)
        taken.append(found)
    return taken


def test_idle_ones_go_first_and_readers_last() -> None:
    one, two, three = unread("a"), half("a"), idle("a")
    assert order([one, two, three]) == [three, two, one]


def test_the_slowest_goes_first() -> None:
    slow, slower, slowest = half("a", 3), half("a", 2), half("a", -1)
    assert order([slower, slow, slowest]) == [slowest, slower, slow]


def test_they_are_taken_from_who_has_the_most_until_all_have_as_many() -> None:
    crowd = [half("crowd", 10 + n) for n in range(5)]
    lone = half("lone", -5)
    assert order([lone, *crowd]) == [*crowd[:4], lone, crowd[4]]


def test_who_is_worked_for_is_left_alone() -> None:
    assert order([Connection("a", None), Connection("b", None)]) == []


def test_a_newcomer_does_not_close_itself() -> None:
    newcomer = half("a", -100)
    assert Ranking[Connection]().take([newcomer], newcomer, 0.0) is None


def test_who_has_begun_anew_since_the_ranking_is_passed_over() -> None:
    ranking: Ranking[Connection] = Ranking()
    first, second, *others = (half("a", n) for n in range(40))
    assert ranking.take([first, second, *others], idle("new"), 0.0) is first
    second.since = 0.1
    assert ranking.take([second, *others], idle("new"), 0.2) is others[0]


def test_who_has_sent_its_request_since_the_ranking_is_passed_over() -> None:
    ranking: Ranking[Connection] = Ranking()
    first, second, *others = (half("a", n) for n in range(40))
    assert ranking.take([first, second, *others], idle("new"), 0.0) is first
    second.worth = None
    others[0].worth = Claim(Waits.READER, 9)
    assert ranking.take([second, *others], idle("new"), 0.2) is others[1]


def test_an_old_ranking_is_made_anew() -> None:
    ranking: Ranking[Connection] = Ranking()
    first, *others = (half("a", n) for n in range(40))
    assert ranking.take([first, *others], idle("new"), 0.0) is first
    later = idle("b")
    assert ranking.take([*others, later], idle("new"), 2 * RANKED_SECONDS) is later


def test_where_all_are_at_work_they_are_not_ranked_again_and_again() -> None:
    ranking: Ranking[Connection] = Ranking()
    one = Connection("a", None)
    assert ranking.take([one], idle("new"), 0.0) is None
    one.worth = Claim(Waits.IDLE, 0)
    assert ranking.take([one], idle("new"), EMPTY_SECONDS / 2) is None
    assert ranking.take([one], idle("new"), 2 * EMPTY_SECONDS) is one


def test_a_crowd_that_comes_after_the_ranking_is_ranked_too() -> None:
    ranking: Ranking[Connection] = Ranking()
    lone = half("lone", -5)
    left = [lone, *(half("crowd", 10) for _ in range(9))]
    for _ in range(100):
        found = ranking.take(left, idle("new"), 0.0)
        assert found is not None
        assert found is not lone
        left.remove(found)
        left.append(half("crowd", 10))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Waits)), st.floats(-9, 9))))
def test_everyone_who_waits_goes_at_last_and_in_the_order_of_kinds(
    given: list[tuple[str, Waits, float]],
) -> None:
    connections = [Connection(address, Claim(waits, credit)) for address, waits, credit in given]
    taken = order(connections)
    assert sorted(map(id, taken)) == sorted(map(id, connections))
    kinds = [one.worth.waits for one in taken if one.worth is not None]
    assert kinds == sorted(kinds)


MB = 1_000_000
ROOM = 100 * MB


def body(address: str, received: int, *, behind: float = 0.0, age: float = 10.0) -> Connection:
    """A large body at 10 seconds on the clock."""
    return Connection(address, Claim(Waits.REQUEST, -behind), 10.0 - age, received)


def test_a_body_that_stands_still_makes_room() -> None:
    well, still = body("a", 8 * MB), body("a", 8 * MB, behind=3)
    assert slowest_body([well, still], "a", ROOM, 10.0) is still
    assert slowest_body([well, still], "b", ROOM, 10.0) is still


def test_a_body_that_trickles_makes_room() -> None:
    well, trickles = body("a", 8 * MB), body("a", 200_000)
    assert slowest_body([well, trickles], "a", ROOM, 10.0) is trickles


def test_bodies_that_come_well_are_left_alone() -> None:
    others = [body("a", 8 * MB), body("a", 100_000, age=0.5), Connection("a", None, 0.0, 8 * MB)]
    assert slowest_body(others, "a", ROOM, 10.0) is None
    assert slowest_body(others, "b", ROOM, 10.0) is None
    assert slowest_body([], "b", ROOM, 10.0) is None


def test_small_ones_and_those_that_wait_for_nothing_make_no_room() -> None:
    idle_one = Connection("a", Claim(Waits.IDLE, -5), 0.0, 8 * MB)
    assert slowest_body([body("a", 10, behind=5), idle_one], "b", ROOM, 10.0) is None


def test_who_has_more_than_half_makes_room_for_others_only() -> None:
    many = [body("a", 8 * MB) for _ in range(8)]
    assert slowest_body(many, "a", ROOM, 10.0) is None
    assert slowest_body(many, "b", ROOM, 10.0) in many
