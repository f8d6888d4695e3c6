"""A challenger that is made for a link of the chain: judged against that link, and never production."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from configs.run_options import RunOptions
from flows.cli.commands.training import _link_line
from flows.retention.versions import prune_versions
from flows.retrain import sequence, steps
from flows.retrain.held_run import HeldRun
from flows.retrain.links import incumbents, keeping
from flows.retrain.links.incumbents import find_links, learned_by_any
from flows.retrain.production import find_production
from flows.retrain.training.plan import planned_challengers, planned_links
from models.errors import ArtifactTooNew
from models.production import ledger
from models.production.artifact_digests import vouched_artifact
from models.production.contract import Alias, link_alias
from models.production.ledger import Entry
from models.production.promotion import reconcile
from models.production.registry import Registry
from models.versions.artifact import read_manifest
from store.errors import Fenced
from store.ingest.files import ingest_file
from store.runs.rows import last_run
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


@pytest.mark.slow
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


def turned(orchard: Orchard) -> int:
    """A world that has turned since the link's version was made, whose number is given."""
    orchard.take_in(600, edge=0.3)
    orchard.retrain()
    for seed in (3, 4, 5):
        orchard.take_in(1500, edge=0.7, seed=seed)
    return orchard.registry.aliases(orchard.name)[LINK]


def at_links(act: Callable[[], None]) -> Callable[[str], None]:
    """Does something just before the links are judged."""
    return lambda step: act() if step == "keep_links" else None


@pytest.mark.slow
def test_a_link_that_was_moved_by_hand_meanwhile_stays_where_it_was_moved(orchard: Orchard) -> None:
    link = turned(orchard)
    production = orchard.registry.aliases(orchard.name)["production"]
    assert production != link
    by_hand = partial(orchard.registry.set_alias, orchard.name, link_alias("plain"), production)
    orchard.retrain(before=at_links(by_hand))
    assert orchard.registry.aliases(orchard.name)[LINK] == production
    assert [one.to_version for one in moves(orchard)] == [link]
    with orchard.context.connect() as conn:
        run = last_run(conn, orchard.name)
    assert run is not None and run.result is not None
    told = run.result["links"]["plain"]
    assert (told["version"], told["before"]) == (None, production)
    assert told["decision"]["reason"].startswith(
        f"the link of 'plain' names version {production} by now; the challenger was judged against version "
        f"{link}; better than"
    )


@pytest.mark.slow
def test_who_was_taken_for_dead_moves_no_link(orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    link = turned(orchard)

    def take_over() -> None:
        monkeypatch.setattr(HeldRun, "ensure_running", lambda _: None)  # which has not heard of it yet
        with orchard.context.connect() as conn:
            conn.execute("UPDATE run SET status = 'lost' WHERE use_case = %s", (orchard.name,))

    with pytest.raises(Fenced):
        orchard.retrain(before=at_links(take_over))
    assert orchard.registry.aliases(orchard.name)[LINK] == link
    assert len(moves(orchard)) == 1


@pytest.mark.parametrize("has_moved", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_move_of_a_link_that_was_cut_off_is_settled_by_the_next_run(
    has_moved: bool, orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = turned(orchard)
    whole = Registry.set_alias

    def die(self: Registry, use_case: str, alias: Alias, version: int) -> None:
        if alias != LINK or has_moved:
            whole(self, use_case, alias, version)
        if alias == LINK:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Registry, "set_alias", die)
        orchard.retrain()
    later = orchard.registry.aliases(orchard.name)[LINK]
    assert (later > link) == has_moved
    with orchard.context.connect() as conn:
        reconcile(conn, orchard.registry, orchard.name)
        assert ledger.open_intents(conn, orchard.name) == []
        assert ledger.last_move(conn, orchard.name) is not None
    assert orchard.registry.aliases(orchard.name)[LINK] == later
    assert [one.to_version for one in moves(orchard)] == ([link, later] if has_moved else [link])
    if has_moved:
        assert "(completed after a break)" in moves(orchard)[-1].reason


def test_links_are_kept_once_where_the_step_is_taken_again(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = turned(orchard)
    attempts: list[int] = []
    whole = keeping.keep_links

    def again(*args: Any, **named: Any) -> Any:
        outcomes = whole(*args, **named)
        attempts.append(outcomes["plain"].version or 0)
        return outcomes if len(attempts) > 1 else again(*args, **named)

    monkeypatch.setattr(sequence, "keep_links", again)
    orchard.retrain()
    assert len(attempts) == 2 and attempts[0] == attempts[1] > link
    assert [one.to_version for one in moves(orchard)] == [link, attempts[0]]
    assert orchard.registry.aliases(orchard.name)[LINK] == attempts[0]


@pytest.mark.slow
def test_a_class_that_only_the_link_knows_holds_its_challenger_back(orchard: Orchard) -> None:
    target = orchard.context.use_case.target.model_dump()
    wider = orchard.changed(target=target | {"classes": ["good", "poor", "fair"]})
    path = orchard.context.settings.home / "fair.csv"
    lines = [f"{number / 600},red,{'fair' if number % 3 == 0 else 'poor'}" for number in range(600)]
    path.write_text("\n".join(["weight,colour,grade", *lines]) + "\n", encoding="utf-8")
    with wider.context.connect() as conn:
        ingest_file(conn, wider.context.use_case, path)
    wider.retrain()
    link = orchard.registry.aliases(orchard.name)[LINK]
    orchard.take_in(600, edge=0.5, seed=2)
    assert orchard.retrain().decision.outcome == "labels_left_out"
    assert orchard.registry.aliases(orchard.name)[LINK] == link
    with orchard.context.connect() as conn:
        run = last_run(conn, orchard.name)
    assert run is not None and run.result is not None
    assert run.result["links"]["plain"]["decision"]["outcome"] == "labels_left_out"


@pytest.mark.slow
def test_a_link_that_works_elsewhere_only_stays_as_it_is(
    orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = turned(orchard)

    def vouched(conn: Any, registry: Any, use_case: str, version: int, *args: Any, **named: Any) -> Path:
        if version == link:
            raise ArtifactTooNew(Path("kept"), 99, 9)
        return vouched_artifact(conn, registry, use_case, version, *args, **named)

    monkeypatch.setattr(incumbents, "vouched_artifact", vouched)
    orchard.retrain()
    assert orchard.registry.aliases(orchard.name)[LINK] == link
    with orchard.context.connect() as conn:
        run = last_run(conn, orchard.name)
    assert run is not None and run.result is not None
    told = run.result["links"]["plain"]["decision"]
    assert told["outcome"] == "production_gone"
    assert f"version {link} of '{orchard.name}' answers as the link of 'plain'" in told["reason"]
    assert "made by a newer Ratchet" in told["reason"]
