from __future__ import annotations

import numpy as np

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.mixed.buckets import MixedEncoder
from features.encoders.tabular import TabularEncoder
from features.records.contract import Columns, RecordContract
from features.records.fences import Fences, FenceTally

RECORD = RecordConfig.model_validate(
    {
        "fields": [
            {"name": "age", "type": "number", "nullable": True},
            {"name": "member", "type": "boolean"},
            {"name": "since", "type": "datetime", "nullable": True},
            {"name": "about", "type": "text"},
        ]
    }
)


def columns(rows: int) -> Columns:
    places = np.arange(rows)
    return {
        "age": 20.0 + places % 60,
        "member": (places % 50 == 0).astype(np.float64),
        "since": np.datetime64("2024-03-01", "us") + places % 90 * np.timedelta64(1, "D"),
        "about": np.array(["x"] * rows, dtype=object),
    }


def test_numbers_and_dates_have_fences_and_nothing_else() -> None:
    for encoder in (TabularEncoder, MixedEncoder):
        fences = encoder.fit(columns(300), RECORD, FeaturesConfig()).fences
        assert set(fences) == {"age", "since"}
        assert -500 < fences["age"][0] < 0 < 150 < fences["age"][1] < 500
    options = FeaturesConfig.model_validate({"tabular": {"fence": "off"}})
    assert TabularEncoder.fit(columns(300), RECORD, options).fences == {}


def test_what_lies_beyond_is_named() -> None:
    fences = Fences({"age": (-219.0, 309.5), "since": (18000.0, 21000.0), "gone": (0.0, 1.0)})
    three = columns(5)
    three["age"] = np.array([20.0, 1e300, np.nan, 309.5, -220.0])
    three["since"] = np.array(
        ["2024-03-01", "NaT", "2999-12-31", "9999-12-31", "0001-01-01"], dtype="datetime64[us]"
    )
    found = fences.beyond(three)
    assert [(one.row, one.field, one.value, one.fence) for one in found] == [
        (1, "age", "1e+300", "-219 to 309.5"),
        (4, "age", "-220", "-219 to 309.5"),
        (2, "since", "2999-12-31T00:00:00", "2019-04-14 to 2027-07-01"),
    ]
    documents = RecordContract(RECORD).to_json(three)
    assert fences.beyond_documents(RecordContract(RECORD), documents) == found


def test_a_field_is_told_once_with_its_count() -> None:
    tally = FenceTally(Fences({"age": (0.0, 100.0)}))
    for lines in ([1, 2, 3], [4, 5, 6]):
        tally.check({"age": np.array([1.0, 1e9, 2e9])}, lines)
    (sentence,) = tally.sentences
    assert sentence.startswith(
        "4 rows, e.g. line 2: field 'age': got 1e+09, beyond production's fence, 0 to 100"
    )
