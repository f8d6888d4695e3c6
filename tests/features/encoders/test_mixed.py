from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from configs.schema import FeaturesConfig, RecordConfig
from configs.spelling.letters import compose, decompose
from features.encoders.mixed.buckets import MixedEncoder
from features.records.contract import RecordContract

RECORD = RecordConfig.model_validate(
    {
        "fields": [
            {"name": "bio", "type": "text", "nullable": True},
            {"name": "site", "type": "text", "nullable": True},
            {"name": "area", "type": "category", "nullable": True},
            {"name": "since", "type": "datetime", "nullable": True},
            {"name": "seen", "type": "datetime", "nullable": True},
        ]
    }
)
CONTRACT = RecordContract(RECORD)
ROWS: list[dict[str, Any]] = [
    {"bio": "I like music", "area": "Berlin", "since": "2020-01-01", "seen": "2024-01-01"},
    {"bio": "cheap pills", "site": "https://www.pills.biz/a/b", "since": "2024-01-01", "seen": "2024-01-01"},
    {},
]


def columns(*rows: dict[str, Any]) -> Any:
    return CONTRACT.check_records(rows).all_or_raise()


ENCODER = MixedEncoder.fit(columns(*ROWS), RECORD, FeaturesConfig())


def named(row: dict[str, Any]) -> dict[str, float]:
    return dict(zip(ENCODER.feature_names, ENCODER.encode(columns(row))[0].tolist(), strict=True))


def buckets(row: dict[str, Any]) -> set[str]:
    return {name for name, value in named(row).items() if name.startswith("bucket:") and value}


def test_dates_become_ages_and_gaps() -> None:
    old, new = named(ROWS[0]), named(ROWS[1])
    assert old["since:age"] > new["since:age"] == 0
    assert old["since:seen:gap"] == pytest.approx(np.log1p(100 * 1461 / 365.25) / 4)
    assert named({"since": "2024-01-02", "seen": "2024-01-01"})["since:seen:gap"] < 0
    later = named({"since": "2024-06-01"})
    assert later["since:age"] < 0
    assert later["since:seen:gap"] == 0


def test_what_is_missing_is_told_apart_from_what_is_empty() -> None:
    assert named({})["since:days:missing"] == 1
    assert named(ROWS[0])["since:days:missing"] == 0
    assert len(buckets({})) == 2
    assert buckets({"bio": "", "site": ""}) == set()


def test_parts_of_addresses_are_shared() -> None:
    bare = buckets({"site": "pills.biz"})
    full = buckets({"site": "https://www.pills.biz/x?y=1"})
    host = {f"bucket:{ENCODER._bucket('site', part)}" for part in ("host:pills.biz", "top:biz")}
    assert host <= bare & full
    mail = buckets({"bio": "write to me@pills.biz"})
    assert f"bucket:{ENCODER._bucket('bio', 'mail:pills.biz')}" in mail
    counted = named({"bio": "a@b.de c@d.de see www.e.de"})
    assert counted["bio:mails"] == pytest.approx(np.log1p(2))
    assert counted["bio:webs"] == pytest.approx(np.log1p(1))


def test_the_same_word_in_another_field_is_another_feature() -> None:
    assert buckets({"bio": "pills"}) - buckets({"site": "pills"})


def test_the_state_is_json() -> None:
    again = MixedEncoder.from_state(json.loads(json.dumps(ENCODER.to_state())))
    assert again.input_shape == (len(again.feature_names),)
    np.testing.assert_array_equal(again.encode(columns(*ROWS)), ENCODER.encode(columns(*ROWS)))


def test_no_dates_at_all_are_fine() -> None:
    encoder = MixedEncoder.fit(columns({"bio": "a"}), RECORD, FeaturesConfig())
    assert np.isfinite(encoder.encode(columns(*ROWS))).all()
    assert "since:seen:gap" in encoder.summarise(columns(*ROWS))


@pytest.mark.parametrize("absurd", ["9999-12-31T23:59:59", "2999-12-31", "0001-01-01"])
def test_one_absurd_date_does_not_make_all_ages_the_same(absurd: str) -> None:
    days = [{"since": f"2024-01-{day:02}", "seen": "2024-02-01"} for day in range(1, 29)]
    clean = MixedEncoder.fit(columns(*days), RECORD, FeaturesConfig())
    spoiled = MixedEncoder.fit(
        columns(*days, {"since": "2024-01-05"}) | _seen(absurd, len(days)), RECORD, FeaturesConfig()
    )
    place = clean.feature_names.index("since:age")
    ages = spoiled.encode(columns(*days))[:, place]
    np.testing.assert_array_equal(ages, clean.encode(columns(*days))[:, place])
    assert np.ptp(ages) > 0.3


def _seen(absurd: str, rows: int) -> dict[str, Any]:
    """The column `seen` with an absurd date behind so many of one day."""
    return {"seen": np.array(["2024-02-01"] * rows + [absurd], dtype="datetime64[us]")}


def test_words_are_the_same_in_composed_and_decomposed_letters() -> None:
    assert buckets({"bio": compose("café crème")}) == buckets({"bio": decompose("café crème")})
    earlier = MixedEncoder({name: value for name, value in ENCODER.to_state().items() if name != "composes"})
    one, other = (earlier.encode(columns({"bio": spell("café crème")})) for spell in (compose, decompose))
    assert ((one > 0) != (other > 0)).any(), "as it has learned"
