"""What a person asks of a canary that is started by hand."""

from __future__ import annotations

import pytest

from configs.errors import ConfigError
from configs.loading import load_selected
from configs.settings import CHECKOUT
from models.canary.configured import configured

PLANS = load_selected([CHECKOUT / "configs"], ["plans"])["plans"]


def test_a_share_in_percent_is_told_how_it_is_written() -> None:
    assert configured(PLANS, {"share": 0.1}).share == 0.1
    with pytest.raises(ConfigError, match=r"share: got 10.*; it is a share, 0.1 for 10 %"):
        configured(PLANS, {"share": 10})


def test_a_number_out_of_bounds_is_told_with_what_is_allowed() -> None:
    with pytest.raises(ConfigError) as refused:
        configured(PLANS, {"share": -1.0})
    assert str(refused.value) == "share: got -1.0; allowed: above 0, at most 0.5"


def test_a_key_that_is_no_field_is_told_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"key: got 'tenur'; allowed: the fields .* \(is 'tenure' meant\?\)"
    ):
        configured(PLANS, {"key": "tenur"})
