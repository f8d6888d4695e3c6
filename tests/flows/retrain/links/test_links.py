"""A challenger that is made for a link of the chain: judged against that link, and never production."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from configs.run_options import RunOptions
from flows.cli.commands.training import _link_line
from flows.retention.versions import prune_versions
from flows.retrain import steps
from flows.retrain.links.incumbents import find_links, learned_by_any
from flows.retrain.production import find_production
from flows.retrain.training.plan import planned_challengers, planned_links
from models.production import ledger
from models.production.ledger import Entry
from models.versions.artifact import read_manifest
from store.runs.tries import link_tries
from store.snapshots.restoring import open_snapshot
from tests.flows.retrain.turns import Orchard, flip_byte, open_orchard
from tests.mlflow_servers import Server

CHAIN: dict[str, Any] = {
    "links": [
        {"name": "trees", "alias": "production", "confidence": 0.9},
        {"name": "line", "challenger": "plain"},
    ],
    "out_of_scope": None,
}
POOL: dict[str, Any] = {
    "challengers": [{"name": "full"}, {"name": "plain", "model": {"estimator": "logistic"}}],
    "holdout": {"by": "hash", "fraction": 0.4, "min_rows": 50},
}
LINK = "link-plain"


@pytest.fixture
def orchard(tmp_path: Path, database_url: str, mlflow_server: Server) -> Orchard:
    name = f"linked_{uuid4().hex[:8]}"
    made = open_orchard(name, tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store)
    return made.changed(chain=CHAIN, training=POOL)


def moves(orchard: Orchard) -> list[Entry]:
    with orchard.context.connect() as conn:
        return [one for one in ledger.history(conn, orchard.name, 100) if one.event == "linked"][::-1]


def test_a_link_has_a_version_of_its_own_that_moves_when_it_is_beaten(orchard: Orchard) -> None:
    orchard.take_in(600, edge=0.3)
    first = orchard.retrain()
    assert (first.outcome, set(first.trained)) == ("promoted", {"full"})
    aliases = orchard.registry.aliases(orchard.name)
    link = aliases[LINK]
    assert link != aliases["production"] == first.version
    manifest = read_manifest(orchard.kept(link))
    assert (manifest.challenger, manifest.estimator) == ("plain", "logistic")
    (moved,) = moves(orchard)
    assert (moved.from_version, moved.to_version) == (None, link)
    assert moved.evidence["challenger_name"] == "plain"

    orchard.take_in(200, edge=0.3, seed=2)
    orchard.retrain()
    assert orchard.registry.aliases(orchard.name)[LINK] == link  # as good as it, which is not better
    assert len(moves(orchard)) == 1
    with orchard.context.connect() as conn:
        assert link_tries(conn, orchard.name, "plain", link) == 1  # which the next gain is to pay for
        assert link_tries(conn, orchard.name, "plain", link + 1) == 0

    for seed in (3, 4, 5):
        orchard.take_in(1500, edge=0.7, seed=seed)
    orchard.retrain()
    later = orchard.registry.aliases(orchard.name)[LINK]
    assert later > link
    assert [(one.from_version, one.to_version) for one in moves(orchard)] == [(None, link), (link, later)]
    assert orchard.registry.aliases(orchard.name)["production"] != later


def test_what_a_link_has_learned_is_not_judged_on(orchard: Orchard) -> None:
    by_time = {**POOL, "holdout": {"by": "time", "fraction": 0.2, "min_rows": 50}}
    orchard = orchard.changed(training=by_time)
    orchard.take_in(600, edge=0.3)
    orchard.retrain()
    context, production = orchard.context, find_production(orchard.context)
    links = find_links(context)
    assert set(links) == {"plain"}
    learned = learned_by_any(production, links)
    snapshot = steps.snapshot_rows(context, production, learned)
    with context.connect() as conn:
        held_out = open_snapshot(conn, context.use_case, context.settings.home, snapshot.digest).holdout
    assert not learned.holds(held_out.identities).any()
    assert links["plain"].learned.last > 0


def test_a_link_whose_files_are_damaged_is_judged_as_one_that_does_not_answer(orchard: Orchard) -> None:
    orchard.take_in(600, edge=0.3)
    orchard.retrain()
    link = orchard.registry.aliases(orchard.name)[LINK]
    for folder in (orchard.kept(link), orchard.stored(link)):
        flip_byte(folder / "native" / "model.skops")
    (found,) = find_links(orchard.context).values()
    assert (found.number, found.predictor) == (link, None)
    assert "model.skops" in str(found.error)
    orchard.take_in(300, edge=0.3, seed=2)
    orchard.retrain()
    assert orchard.registry.aliases(orchard.name)[LINK] > link


def test_a_quick_training_leaves_links_as_they_are_and_pruning_keeps_them(orchard: Orchard) -> None:
    context = orchard.context
    assert [one.name for one in planned_links(context.use_case, "retrain", RunOptions())] == ["plain"]
    assert planned_links(context.use_case, "train", RunOptions()) == ()
    planned = planned_challengers(context.use_case, "retrain", RunOptions(), production=None)
    assert [one.name for one in planned] == ["full"]
    orchard.take_in(600, edge=0.3)
    orchard.retrain()
    link = orchard.registry.aliases(orchard.name)[LINK]
    kept = orchard.changed(retrain={"keep_versions": 1})
    prune_versions(kept.context)
    assert link in [one.version for one in orchard.registry.versions(orchard.name)]


@pytest.mark.parametrize(
    ("version", "before", "told"),
    [
        (7, 3, "link of plain: version 7 answers there from now on: it is better"),
        (None, 3, "link of plain: version 3 answers there still: it is better"),
        (None, None, "link of plain: nothing answers there yet: it is better"),
    ],
)
def test_a_run_tells_of_its_links(version: int | None, before: int | None, told: str) -> None:
    decision = {"reason": "it is better"}
    assert _link_line("plain", {"version": version, "before": before, "decision": decision}) == told
