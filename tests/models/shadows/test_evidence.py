"""What a record proves, and what the members of a blend count for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from configs.schema import GateConfig, ShadowsConfig
from models.shadows.evidence import Standing, weigh_record
from models.shadows.periods import Contest, Moments, Period
from models.shadows.weights import blend_weights

GATE = GateConfig(min_rows=100, shadows=ShadowsConfig(keep=8, periods=3, errors=1.0, cost=0.01))
STANDING = Standing(version=5, recipe="blend", made=4)


def moments(gain: float, rows: int = 400, spread: float = 0.1, seed: int = 0) -> Moments:
    noise = np.random.default_rng(seed).normal(0, spread, rows)
    return Moments.of(gain + noise - noise.mean())


def period(number: int, *contests: Contest, doubt: str | None = None) -> Period:
    return Period(number, 100 * number, 400, contests, {}, doubt)


def direct(gain: float, version: int = 5, recipe: str = "blend", **sources: Moments) -> Contest:
    return Contest(recipe, 4, version, moments(gain), sources)


def aged(made: int, gain: float) -> Contest:
    return Contest("blend", made, None, moments(gain))


def test_predecessors_over_production_add_up_since_it_serves() -> None:
    gain = weigh_record(GATE, [period(6, direct(0.02)), period(7, direct(0.04))], "blend", STANDING, 7)
    assert gain is not None
    assert (gain.rows, gain.periods, gain.age) == (800, 2, 3)
    assert gain.gain == pytest.approx(0.03)
    assert gain.lower == pytest.approx(0.03 - gain.error)
    assert gain.lost == pytest.approx(0.06, abs=0.011)
    assert gain.passes


def test_contests_of_others_do_not_count() -> None:
    others = [direct(0.5, version=3), direct(0.5, recipe="warm"), aged(4, 0.5)]
    assert weigh_record(GATE, [period(7, *others)], "blend", STANDING, 7) is None


def test_what_age_costs_is_told_by_shadows_as_far_apart() -> None:
    periods = [period(number, aged(number - 3, 0.02), aged(number - 2, 0.5)) for number in (4, 5, 6)]
    gain = weigh_record(GATE, periods, "blend", Standing(5, "blend", 4), 6)
    assert gain is not None
    assert gain.rows == 1200
    assert gain.gain == pytest.approx(0.02)
    assert weigh_record(GATE, periods, "blend", Standing(5, "full", 4), 6) is None


def test_only_the_newest_periods_tell_what_age_costs() -> None:
    periods = [period(number, aged(number - 3, 0.0 if number > 5 else 0.5)) for number in range(3, 9)]
    gain = weigh_record(GATE, periods, "blend", Standing(5, "blend", 6), 8)
    assert gain is not None
    assert gain.rows == 1200
    assert gain.gain == pytest.approx(0.0, abs=1e-12)


def test_doubtful_periods_and_those_before_a_rollback_prove_nothing() -> None:
    doubtful = period(7, direct(0.5), doubt="labels may be selected")
    assert weigh_record(GATE, [doubtful], "blend", STANDING, 7) is None
    taken_back = Standing(5, "blend", 4, since=7)
    assert weigh_record(GATE, [period(7, direct(0.5))], "blend", taken_back, 7) is None


def test_what_was_lost_before_a_rollback_is_not_counted_again() -> None:
    periods = [
        period(number, *(aged(number - 1 - apart, 0.02) for apart in (1, 2, 3, 4))) for number in (5, 6, 7, 8)
    ]
    waited = weigh_record(GATE, periods, "blend", Standing(5, "blend", 4), 8)
    taken_back = weigh_record(GATE, periods, "blend", Standing(5, "blend", 4, since=7), 8)
    assert waited is not None
    assert taken_back is not None
    assert waited.age == taken_back.age == 4
    # Of four retrains waited two were before it; the last one is the next period.
    assert waited.lost == pytest.approx(0.08, abs=0.02)
    assert taken_back.lost == pytest.approx(0.04, abs=0.015)


def test_too_few_rows_prove_nothing() -> None:
    contest = Contest("blend", 4, 5, moments(0.5, rows=99))
    assert weigh_record(GATE, [period(7, contest)], "blend", STANDING, 7) is None


def test_it_passes_when_staying_has_lost_as_much_as_a_new_model_costs() -> None:
    contests = [period(number, Contest("blend", 4, 5, moments(0.004, spread=0.01))) for number in (6, 7, 8)]
    lost = [weigh_record(GATE, contests[:count], "blend", STANDING, 5 + count) for count in (1, 2, 3)]
    assert [gain.passes for gain in lost if gain is not None] == [False, False, True]
    assert all(gain.lower > 0 for gain in lost if gain is not None)


def test_what_was_lost_before_is_no_reason_where_nothing_is_gained_any_more() -> None:
    contests = [period(6, direct(0.05)), period(7, direct(-0.06))]
    gain = weigh_record(GATE, contests, "blend", STANDING, 7)
    assert gain is not None
    assert gain.lower < 0
    assert not gain.passes


def test_each_retrain_waited_is_told_by_shadows_as_far_apart() -> None:
    periods = [
        period(number, *(aged(number - 1 - apart, 0.004 * apart) for apart in (1, 2, 3)))
        for number in (5, 6, 7)
    ]
    gain = weigh_record(GATE, periods, "blend", Standing(5, "blend", 4), 7)
    assert gain is not None
    assert gain.age == 3
    assert gain.lost == pytest.approx(0.024 - 3**0.5 * gain.error, rel=0.01)


def test_one_period_in_which_the_world_turned_is_not_what_age_costs() -> None:
    periods = [period(number, aged(number - 3, 0.4 if number == 5 else 0.001)) for number in (5, 6, 7)]
    gain = weigh_record(GATE, periods, "blend", Standing(5, "blend", 5), 7)
    assert gain is not None
    assert gain.gain == pytest.approx(0.001)
    assert not gain.passes


def test_what_was_seen_counts_before_what_shadows_tell() -> None:
    periods = [
        period(6, direct(0.002), aged(3, 0.3), aged(4, 0.3)),
        period(7, aged(4, 0.3), aged(5, 0.3)),
    ]
    gain = weigh_record(GATE, periods, "blend", Standing(5, "blend", 4), 6)
    assert gain is not None
    assert gain.lost == pytest.approx(0.002 + 0.3, abs=0.01)


def test_an_age_beyond_the_shadows_kept_is_told_by_the_oldest() -> None:
    gate = GATE.model_copy(update={"shadows": ShadowsConfig(keep=3, periods=3)})
    periods = [period(number, aged(number - 3, 0.02)) for number in (18, 19, 20)]
    gain = weigh_record(gate, periods, "blend", Standing(5, "blend", 4), 20)
    assert gain is not None
    assert (gain.age, gain.rows) == (16, 1200)


def test_a_source_without_which_it_would_be_a_loss_is_named() -> None:
    desk, api = moments(0.3, rows=200), moments(-0.01, rows=200)
    contest = Contest("blend", 4, 5, desk + api, {"desk": desk, "api": api})
    gain = weigh_record(GATE, [period(7, contest)], "blend", STANDING, 7)
    assert gain is not None
    assert gain.passes
    assert gain.carried_by == ("desk",)


def scored(number: int, rows: int = 500, **members: float) -> Period:
    return Period(number, number, rows, (), {"blend": members})


MEMBERS = ["full", "newest_8", "newest_1"]


def test_all_is_given_to_the_first_member_where_nothing_is_known() -> None:
    assert blend_weights([], "blend", MEMBERS) == {"full": 1.0, "newest_8": 0.0, "newest_1": 0.0}


def test_equal_members_count_alike_and_one_never_scored_does_not() -> None:
    weights = blend_weights([scored(1, full=0.8, newest_1=0.8)], "blend", MEMBERS)
    assert weights == {"full": 0.5, "newest_8": 0.0, "newest_1": 0.5}


def test_a_better_member_counts_for_more_the_more_rows_say_so() -> None:
    few = blend_weights([scored(1, rows=20, full=0.8, newest_1=0.82)], "blend", MEMBERS)
    many = blend_weights([scored(1, rows=400, full=0.8, newest_1=0.82)], "blend", MEMBERS)
    assert 0.5 < few["newest_1"] < 0.55
    assert many["newest_1"] > 0.9
    assert sum(many.values()) == pytest.approx(1.0)


def test_the_past_fades() -> None:
    periods = [scored(1, full=0.8, newest_1=0.9)]
    early = blend_weights(periods, "blend", MEMBERS)["newest_1"]
    later = blend_weights(
        [*periods, *(scored(n, full=0.8, newest_1=0.8) for n in range(2, 12))], "blend", MEMBERS
    )
    assert early > 0.99
    assert later["newest_1"] == pytest.approx(0.5, abs=0.05)


def test_doubtful_periods_weigh_nothing() -> None:
    doubtful = Period(1, 1, 500, (), {"blend": {"full": 0.1, "newest_1": 0.9}}, "labels may be selected")
    assert blend_weights([doubtful], "blend", MEMBERS)["full"] == 1.0


def answered(gain: float, right: float | None) -> Contest:
    told = None if right is None else moments(right, seed=1)
    return replace(direct(gain), right=told)


def test_models_that_are_only_less_sure_do_not_pass() -> None:
    periods = [period(number, answered(0.03, -0.01)) for number in (6, 7)]
    gain = weigh_record(GATE, periods, "blend", STANDING, 7)
    assert gain is not None
    assert gain.right == pytest.approx(-0.01)
    assert gain.lower > 0
    assert gain.lost > gain.line
    assert not gain.passes
    assert gain.missing == "more rows must be answered rightly (-1.00 in 100 now)"
    assert "answer no more rows rightly: of 100 rows 1.00 fewer are answered rightly" in gain.shown


def test_as_many_rows_answered_rightly_are_not_enough() -> None:
    """Where no answer differs at all, who is less sure gains on wrong labels and nothing else."""
    same = replace(direct(0.03), right=Moments(100, 0.0, 0.0))
    gain = weigh_record(GATE, [period(6, same), period(7, same)], "blend", STANDING, 7)
    assert gain is not None
    assert (gain.right, gain.lower > 0, gain.lost > gain.line) == (0.0, True, True)
    assert not gain.passes
    assert gain.missing == "more rows must be answered rightly (+0.00 in 100 now)"
    one_more = replace(same, right=Moments(100, 1.0, 1.0))
    gain = weigh_record(GATE, [period(6, same), period(7, one_more)], "blend", STANDING, 7)
    assert gain is not None
    assert gain.passes


def test_what_is_answered_rightly_is_estimated_as_the_gain_is() -> None:
    alike = [
        period(number, replace(aged(number - 3, 0.02), right=moments(0.02 * number))) for number in (4, 5, 6)
    ]
    met = [period(6, replace(direct(0.02), right=moments(0.3)), *alike[2].contests)]
    gain = weigh_record(GATE, [*alike[:2], *met], "blend", Standing(5, "blend", 4), 6)
    assert gain is not None
    assert gain.right == pytest.approx((0.1 + 0.3) / 2)


def test_periods_that_do_not_tell_what_was_right_ask_nothing_of_it() -> None:
    periods = [period(6, answered(0.03, -0.5)), period(7, answered(0.03, None))]
    gain = weigh_record(GATE, periods, "blend", STANDING, 7)
    assert gain is not None
    assert gain.right is None
    assert gain.passes
