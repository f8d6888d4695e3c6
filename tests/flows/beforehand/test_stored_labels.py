"""A class that was renamed by mistake is told when the configuration is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from configs.schema import UseCase
from configs.settings import read_settings
from flows.beforehand.stored_labels import labels_left
from flows.cli.terminal.taking_up import tell_labels_left
from store.feedback.insertion import FeedbackBatch, add_feedback
from tests.e2e.apples import CONFIG, USE_CASE


def described(**target: Any) -> dict[str, Any]:
    whole: dict[str, Any] = yaml.safe_load(CONFIG)
    return whole | {"target": whole["target"] | target}


def store(conn: psycopg.Connection, *labels: str) -> None:
    names, records = [f"i:{number}" for number in range(len(labels))], ['{"weight": 1}'] * len(labels)
    add_feedback(conn, USE_CASE, FeedbackBatch(names, records, list(labels), "test"))
    conn.commit()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({}, None),
        ({"classes": ["good", "poor", "new"]}, None),
        (
            {"classes": ["godo", "poor"]},
            "labels that target.classes does not have, and no retrain learns from: 'good' (2 labels); "
            "classes that no label has: 'godo'; correct target.classes or, where that is meant, see "
            "`ratchet relabel apples --help`",
        ),
        (
            {"classes": ["poor", "bad"], "task": "binary"},
            "labels that target.classes does not have, and no retrain learns from: 'good' (2 labels); "
            "classes that no label has: 'bad'; correct target.classes or, where that is meant, see "
            "`ratchet relabel apples --help`",
        ),
        ({"classes": [], "task": "binary", "positive": "good"}, None),
        (
            {"classes": [], "task": "binary", "positive": "godo"},
            "target.positive is for 'godo' (is 'good' meant?), which no label is; stored are "
            "'good' (2 labels), 'poor' (1 label)",
        ),
    ],
)
def test_labels_that_are_no_class_any_more_are_named(
    target: dict[str, Any], told: str | None, conn: psycopg.Connection
) -> None:
    use_case = UseCase.model_validate(described(**target))
    assert labels_left(conn, use_case) is None
    store(conn, "good", "poor", "good")
    assert labels_left(conn, use_case) == told


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"classes": ["red", "ripe"]}, None),
        ({"classes": ["red", "rip"]}, "learns from: 'ripe' (2 labels); classes that no label has: 'rip'"),
        ({"classes": [], "thresholds": {"rip": 0.4}}, "target.thresholds is for 'rip' (is 'ripe' meant?)"),
    ],
)
def test_of_many_labels_each_counts_by_itself(
    target: dict[str, Any], told: str | None, conn: psycopg.Connection
) -> None:
    store(conn, "red|ripe", "ripe", "")
    described_ = described(task="multilabel", **target) | {"gate": {"metric": "f1_macro", "min_rows": 50}}
    found = labels_left(conn, UseCase.model_validate(described_))
    assert (found is None) if told is None else (found is not None and told in found)


def test_what_is_taken_up_is_warned_of(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "apples.yaml").write_text(yaml.safe_dump(described(classes=["godo", "poor"])), "utf-8")
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_DATABASE_URL": database_url,
            "RATCHET_CONFIGS": str(tmp_path),
        }
    )
    store(conn, "good", "poor", "good")
    assert tell_labels_left(settings, ()) == {}
    assert tell_labels_left(settings, ("plans", "apples")).keys() == {"apples"}
    said = " ".join(capsys.readouterr().err.split())
    assert "apples warning: labels that target.classes does not have" in said
    assert "'good' (2 labels)" in said
