"""`ratchet audits`: which answers wait for a label, and their labels back from the file."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from flows.cli import app

CONFIG = """
name: loans
title: Loans
kind: tabular
record:
  fields:
    - {name: amount, type: number}
    - {name: note, type: category}
target: {task: multiclass, column: status, classes: [paid, late]}
model: {estimator: catboost}
"""


@pytest.fixture(autouse=True)
def ids(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Three answers, the last two of which were drawn."""
    environ = {
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_CONFIGS": str(tmp_path),
        "COLUMNS": "250",
        "PATH": os.environ["PATH"],
    }
    monkeypatch.setattr(os, "environ", environ)
    (tmp_path / "loans.yaml").write_text(CONFIG, encoding="utf-8")
    names = [f"01a1fe1e-7758-7000-9000-{number:011x}{int(number > 0)}" for number in range(3)]
    for name in names:
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, score, model_version, source)"
            """ VALUES (%s, 'loans', '{"amount": 5.0, "note": "=1+1"}', 'paid', 0.75, 1, 'model')""",
            (name,),
        )
    conn.commit()
    return names


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ran(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_answers_without_a_label_are_listed(ids: list[str]) -> None:
    told = ran("audits", "loans")
    assert (told["answers"], told["labelled"]) == (2, 0)
    assert {one["id"] for one in told["waiting"]} == set(ids[1:])
    shown = run("audits", "loans").output
    since = datetime.fromisoformat(told["waiting"][-1]["predicted_at"]).astimezone(UTC)
    assert f"0 of 2 audited answers since {since:%Y-%m-%d} " in shown
    assert shown.count("paid") == 2


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_filled_in_file_comes_back(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "audits.csv"
    assert run("audits", "loans", "--csv", str(path)).exit_code == 0
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["", ""]
    assert (rows[0]["answer"], rows[0]["amount"]) == ("paid", "5.0")
    assert rows[0]["note"].startswith("'")  # a spreadsheet would compute it
    rows[0]["label"] = "late"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    report = ran("audits", "loans", "--labels", str(path))
    assert (report["rows"], report["empty"], report["new"], report["rejected"]) == (2, 1, 1, {})
    assert ran("audits", "loans", "--labels", str(path))["duplicates"] == 1
    told = ran("audits", "loans")
    assert (told["labelled"], told["correct"]) == (1, 0)
    assert [one["id"] for one in told["waiting"]] == [rows[1]["prediction_id"]]


def test_a_record_that_is_a_long_text_or_a_picture_comes_back(
    conn: psycopg.Connection, ids: list[str], tmp_path: Path
) -> None:
    csv.field_size_limit(131_072)  # as Python has it until somebody raises it
    config = CONFIG.replace("type: category", "type: text, max_length: 200000").replace("tabular", "mixed")
    (tmp_path / "loans.yaml").write_text(config, encoding="utf-8")
    conn.execute("UPDATE prediction SET record = record || jsonb_build_object('note', repeat('x', 200000))")
    conn.commit()
    path = tmp_path / "audits.csv"
    assert run("audits", "loans", "--csv", str(path)).exit_code == 0
    written = path.read_text("utf-8")
    path.write_text(written.replace(f'"{ids[1]}",', f'"{ids[1]}","late"'), "utf-8")
    report = ran("audits", "loans", "--labels", str(path))
    assert (report["rows"], report["new"], report["rejected"]) == (2, 1, {}), written[:100]


def test_what_is_wrong_is_told_by_line(ids: list[str], tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"prediction_id,label\n{ids[1]},lost\nnobody,paid\n{ids[2]},paid\n", encoding="utf-8")
    report = ran("audits", "loans", "--labels", str(path))
    assert report["new"] == 1
    assert list(report["rejected"]) == ["2", "3"]
    assert "lost" in report["rejected"]["2"]
    assert "no prediction 'nobody' is known" in report["rejected"]["3"]
    assert "line 2: label" in run("audits", "loans", "--labels", str(path)).output


@pytest.mark.parametrize(
    ("content", "words"), [(b"id,label\n", "'prediction_id'"), (b"\xff\xfe\x00", "UTF-8")]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    result = run("audits", "loans", "--labels", str(path))
    assert result.exit_code != 0
    assert words in str(result.exception) + result.output
    assert run("audits", "loans", "--csv", str(tmp_path / "audits.xlsx")).exit_code != 0
