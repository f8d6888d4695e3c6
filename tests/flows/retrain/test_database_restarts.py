"""A database, or a pooler, that is started again in the midst of a retrain: what is trained stays."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from flows import context as contexts
from store.errors import DatabaseUnavailable
from tests.flows.retrain.turns import Orchard
from tests.poolers import Pooler, needs_pgbouncer, running_pooler

AWAY_SECONDS = 1.5


def behind(pooler: Pooler, orchard: Orchard) -> Orchard:
    context = orchard.context
    settings = replace(context.settings, database_url=pooler.url)
    return replace(orchard, context=replace(context, settings=settings, database_url=pooler.url))


@needs_pgbouncer
def test_a_pooler_is_started_again_before_each_step_that_comes_after_the_rows(
    empty_orchard: Orchard, tmp_path: Path
) -> None:
    empty_orchard.take_in(500, edge=0.5)
    restarted: list[tuple[str, threading.Timer]] = []
    with ExitStack() as stack:
        pooler = stack.enter_context(running_pooler(empty_orchard.context.database_url, tmp_path / "pooler"))

        def restart(step: str) -> None:
            if not restarted and step != "read_rows":
                return
            if restarted:
                restarted[-1][1].join()
            pooler.kill()
            back = threading.Timer(AWAY_SECONDS, pooler.start)
            stack.callback(back.join)
            back.start()
            restarted.append((step, back))

        turn = behind(pooler, empty_orchard).retrain(before=restart)
    steps = {step for step, _ in restarted}
    assert {"read_rows", "train_all", "judge_all", "register_best", "act_on_verdict"} <= steps
    assert (turn.outcome, turn.version) == ("promoted", 1)
    with empty_orchard.context.connect() as conn:
        runs = conn.execute("SELECT status, error FROM run").fetchall()
        moves = conn.execute("SELECT count(*) FROM ledger WHERE event = 'promoted'").fetchone()
    assert runs == [("succeeded", None)]
    assert moves == (1,)


@needs_pgbouncer
def test_a_database_that_stays_away_is_told(
    empty_orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "PATIENCE", 0.6)
    with running_pooler(empty_orchard.context.database_url, tmp_path / "pooler") as pooler:
        context = behind(pooler, empty_orchard).context
        context.patient().connect().close()
        pooler.kill()
        for impatient in (context, context.patient()):
            with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
                impatient.connect()
