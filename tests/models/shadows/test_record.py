"""The record of a use case as one retrain has it."""

from __future__ import annotations

import numpy as np

from models.shadows.periods import Period
from models.shadows.record import FEWEST_NEWEST, Record

PERIODS = tuple(Period(number, 100 * number) for number in (1, 2, 3))


def test_rows_since_the_period_before_are_the_newest() -> None:
    seq = np.arange(1, 301)
    assert Record(PERIODS, ends_now=True).newest(seq) == 100
    assert Record(PERIODS).newest(np.arange(1, 381)) == 80


def test_there_are_some_of_them_however_few_came() -> None:
    few = np.arange(1, 301, 10)
    assert Record(PERIODS, ends_now=True).newest(few) == len(few) == 30
    many = np.concatenate([np.arange(1, 201), [290, 300]])
    assert Record(PERIODS, ends_now=True).newest(many) == FEWEST_NEWEST


def test_without_a_period_before_all_are_new() -> None:
    assert Record().newest(np.arange(1, 301)) == 300
    assert Record(PERIODS[:1], ends_now=True).newest(np.arange(1, 301)) == 300
