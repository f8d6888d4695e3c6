"""Which keys may group the rows of a use case."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from configs.schema import UseCase
from tests.store.ingest.test_groups import LOANS


def use_case(group: str, **record: Any) -> UseCase:
    return UseCase.model_validate(LOANS | {"record": LOANS["record"] | record | {"group": group}})


def test_a_field_groups_by_itself_and_any_other_key_is_taken_beside_the_fields() -> None:
    assert use_case("amount").record.group_key is None
    assert use_case("customer_id").record.group_key == "customer_id"


@pytest.mark.parametrize(
    ("group", "record"),
    [
        ("id", {}),
        ("label", {}),
        ("prediction_id", {}),
        ("", {}),
        ("customer", {"id_column": "customer"}),
        ("at", {"time_column": "at"}),
        ("outcome", {}),
    ],
)
def test_ids_times_and_labels_group_nothing(group: str, record: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"record.group: got '{group}'"):
        use_case(group, **record)
