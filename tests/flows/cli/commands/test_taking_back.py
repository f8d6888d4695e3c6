"""`ratchet forget-label` on a database of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from tests.flows.cli.commands import test_sources

home = test_sources.home


@pytest.fixture(autouse=True)
def ingested(home: Path) -> None:
    """Loans that ann, bob and eve have labelled."""
    assert run("ingest", "loans", str(home / "loans.csv")).exit_code == 0


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def forget(*arguments: str) -> dict[str, object]:
    told = run("forget-label", "loans", *arguments, "--json")
    assert told.exit_code == 0, told.output
    document: dict[str, object] = json.loads(told.stdout)
    return document


def test_a_source_is_looked_at_then_taken_back(home: Path) -> None:
    looked = forget("--source", "file/eve", "--dry-run")
    assert (looked["dry_run"], looked["taken_back"], looked["left"]) == (True, 40, 40)
    done = forget("--source", "file/eve", "--reason", "inverted", "--yes")
    assert (done["dry_run"], done["taken_back"], done["rows"]) == (False, 40, 40)
    sources = json.loads(run("sources", "list", "loans", "--json").stdout)["sources"]
    assert [(one["name"], one["contradicts"]) for one in sources] == [("file/ann", 0), ("file/bob", 0)]
    again = json.loads(run("ingest", "loans", str(home / "loans.csv"), "--json").stdout)
    assert (again["new"], again["stale"]) == (0, 40), "the file still has them"


def test_one_row_by_what_it_is_known_by() -> None:
    first = forget("--file", "loans.csv", "--dry-run")["labels"][0]["id"]  # type: ignore[index]
    told = run("forget-label", "loans", first, "--reason", "typo", answer="y\n")
    assert told.exit_code == 0, told.output
    assert "Take back 3 labels of 1 row of 'loans'?" in told.output
    assert "3 labels of 1 row taken back" in told.output
    assert "ratchet retrain loans" in told.output
    again = run("forget-label", "loans", first, "--reason", "typo")
    assert again.exit_code == 0, again.output
    assert "No label is to be taken back" in again.output
    assert f"{first}: 'paid' of file/bob was taken back before" in again.output
    assert again.output.rstrip().endswith(": typo")


def test_one_that_was_taken_back_without_a_reason_ends_with_who_did(database_url: str) -> None:
    one = forget("--file", "loans.csv", "--dry-run")["labels"][0]  # type: ignore[index]
    forget(one["id"], "--reason", "typo", "--yes")
    with psycopg.connect(database_url) as conn:
        assert conn.execute("UPDATE label_taken_back SET reason = ''").rowcount
    told = run("forget-label", "loans", one["id"], "--reason", "typo").output
    assert re.search(r"was taken back before, on [-0-9: ]+ by [^:\n]+\n", told), told


def test_who_says_no_keeps_them() -> None:
    told = run("forget-label", "loans", "--source", "file", "--reason", "all", answer="n\n")
    nobody = run("forget-label", "loans", "--source", "file", "--reason", "all", answer="")
    assert "[y/N]: \nAborted." in nobody.output, "on a line of its own"
    assert told.exit_code == 1
    assert forget("--source", "file", "--dry-run")["taken_back"] == 120


def test_by_time() -> None:
    assert forget("--until", "2020-01-01", "--dry-run")["taken_back"] == 0
    assert forget("--since", "2020-01-01", "--until", "2999-01-01", "--dry-run")["taken_back"] == 120


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reason", "why"], "say which labels"),
        (["--source", "file"], "say why"),
        (["--source", "file", "--reason", " "], "say why"),
        (["nobody", "--reason", "why"], "'loans' has no label by the id 'nobody'"),
        (["--source", "mallory", "--reason", "why"], "no labels of a source 'mallory'"),
        (["--since", "yesterday", "--reason", "why"], "got 'yesterday'; allowed: a date or"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], words: str) -> None:
    refused = run("forget-label", "loans", *arguments)
    assert refused.exit_code == 2
    assert words in str(refused.exception) + refused.output
    assert forget("--source", "file", "--dry-run")["taken_back"] == 120
