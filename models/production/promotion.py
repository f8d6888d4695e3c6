"""Move production, or a link, so that a kill at any step leaves registry, ledger and servers in agreement.

MLflow moves one alias per transaction. So: the intent goes into the ledger first, `production`
moves last, a closing row follows, and a move that was cut off is finished or abandoned by
`reconcile`, which every run and every rollback calls before it does anything else. One move of a
use case at a time, whoever makes it: flows promote, servers and commands roll back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from models.errors import LinkMoved, ProductionMoved, PromotionPaused, UnknownVersion
from models.gate.decision import GateDecision
from models.production import ledger
from models.production.contract import Alias, AliasMover, link_alias
from models.production.incumbent import last_production
from store.database.sessions import hold_lock
from store.pauses import find_pause
from store.runs import lifecycle


@contextmanager
def moving(conn: psycopg.Connection[Any], use_case: str) -> Iterator[None]:
    """Keep every other move of the use case waiting; a killed process lets go."""
    with hold_lock(conn, "move", use_case):
        try:
            yield
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise


def promote(
    conn: psycopg.Connection[Any],
    registry: AliasMover,
    use_case: str,
    *,
    version: int,
    against: int | None,
    decision: GateDecision,
    actor: str,
    run_id: str,
    token: int,
    challenger: str | None = None,
) -> None:
    """Make `version` production and tell every server.

    The run row stays locked while aliases move: a run that was taken for dead cannot promote, and
    this one cannot be taken over in between.

    Args:
        against: production when the version was judged, also one that has lost its alias.
        challenger: its name.

    Raises:
        ProductionMoved: another version is production by now, and this one was not judged against it.
        PromotionPaused: a person wants production to stay.
        Fenced: another run has taken over.
        RegistryUnavailable: MLflow went away; `reconcile` settles what was begun.
    """
    with moving(conn, use_case):
        aliases = registry.aliases(use_case)
        production = aliases.get("production", last_production(conn, use_case))
        if production != against:
            raise ProductionMoved(use_case, against, production)
        ensure_not_paused(conn, use_case)
        with _on_record(
            conn,
            use_case,
            "promoted",
            decision,
            actor=actor,
            from_version=production,
            to_version=version,
            evidence={**told_of(decision, challenger), "aliases": aliases},
            run_id=run_id,
            token=token,
        ):
            move_aliases(registry, use_case, aliases, production, version)


def move_link(
    conn: psycopg.Connection[Any],
    registry: AliasMover,
    use_case: str,
    *,
    version: int,
    against: int | None,
    decision: GateDecision,
    actor: str,
    run_id: str,
    token: int,
    challenger: str,
) -> None:
    """Let the link of a challenger name `version`, as `promote` does production; servers look now and then.

    Args:
        against: what the link named when the version was judged.

    Raises:
        LinkMoved: it names another version by now, and this one was not judged against it.
        Fenced: another run has taken over.
        RegistryUnavailable: MLflow went away; `reconcile` settles what was begun.
    """
    alias = link_alias(challenger)
    with moving(conn, use_case):
        named = registry.alias_version(use_case, alias)
        if named != against:
            raise LinkMoved(challenger, against, named)
        with _on_record(
            conn,
            use_case,
            "linked",
            decision,
            actor=actor,
            from_version=named,
            to_version=version,
            evidence={**told_of(decision, challenger), "link": challenger},
            run_id=run_id,
            token=token,
        ):
            registry.set_alias(use_case, alias, version)


@contextmanager
def _on_record(
    conn: psycopg.Connection[Any],
    use_case: str,
    closed_as: ledger.Event,
    decision: GateDecision,
    *,
    actor: str,
    from_version: int | None,
    to_version: int,
    evidence: Mapping[str, Any],
    run_id: str,
    token: int,
) -> Iterator[None]:
    """Have the intent in the ledger before aliases move, the run held meanwhile, and the closing row behind.

    Raises:
        Fenced: another run has taken over; the intent stays open, for `reconcile`.
    """
    intent_id = ledger.record(
        conn,
        use_case,
        "intent",
        actor=actor,
        reason=decision.reason,
        from_version=from_version,
        to_version=to_version,
        evidence=evidence,
        run_id=run_id,
    )
    conn.commit()
    lifecycle.hold(conn, run_id, token)
    yield
    ledger.close_intent(conn, ledger.entry(conn, intent_id), closed_as, decision.reason)
    conn.commit()


def ensure_not_paused(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Before a move that nobody has asked for.

    Raises:
        PromotionPaused: a person wants production to stay.
    """
    if (pause := find_pause(conn, use_case)) is not None:
        raise PromotionPaused(use_case, pause.actor, pause.reason)


def move_aliases(
    registry: AliasMover, use_case: str, before: Mapping[str, int], production: int | None, version: int
) -> None:
    """Point `production` at a version, last; `previous`, and at the first `original`, before."""
    if "original" not in before:
        registry.set_alias(use_case, "original", version)
    if production is not None and production != version:
        with suppress(UnknownVersion):  # it was deleted: what was before it stays the one to go back to
            registry.set_alias(use_case, "previous", production)
    registry.set_alias(use_case, "production", version)
    forget_canary(registry, use_case)


def forget_canary(registry: AliasMover, use_case: str) -> None:
    """Take the alias `canary` away: a move of production ends what was tried beside it."""
    if registry.alias_version(use_case, "canary") is not None:
        with suppress(UnknownVersion):
            registry.delete_alias(use_case, "canary")


def note_verdict(
    conn: psycopg.Connection[Any],
    use_case: str,
    event: ledger.Event,
    *,
    reason: str,
    decision: GateDecision,
    production: int | None,
    version: int | None,
    actor: str,
    run_id: str,
    challenger: str,
) -> None:
    """Write a verdict on a challenger that moves nothing."""
    ledger.record(
        conn,
        use_case,
        event,
        actor=actor,
        reason=reason,
        from_version=production,
        to_version=version,
        evidence=told_of(decision, challenger),
        run_id=run_id,
    )
    conn.commit()


def told_of(decision: GateDecision, challenger: str | None) -> dict[str, Any]:
    """The decision, in which `challenger` and `production` are scores, and which challenger it is about."""
    return {**decision.as_dict(), "challenger_name": challenger}


def reconcile(conn: psycopg.Connection[Any], registry: AliasMover, use_case: str) -> list[str]:
    """Settle moves of production, and of links, that were cut off.

    `production` moves last, so it tells what had been done: when it names the new version the move
    is completed in the ledger and announced; otherwise it is abandoned, and the others put back. Of a link
    no more than its own alias moves.

    Returns:
        One sentence for each move that was settled.
    """
    with moving(conn, use_case):
        return settle_intents(conn, registry, use_case)


def settle_intents(conn: psycopg.Connection[Any], registry: AliasMover, use_case: str) -> list[str]:
    """As `reconcile`, for a caller that is `moving`."""
    settled = []
    for intent in ledger.open_intents(conn, use_case):
        if "link" in intent.evidence:
            settled.append(_settle_link(conn, registry, intent))
            continue
        event = ledger.moves_as(intent)
        what = "promotion of" if event == "promoted" else "rollback to"
        production = registry.alias_version(use_case, "production")
        if production == intent.to_version:
            forget_canary(registry, use_case)
            ledger.close_intent(conn, intent, event, f"{intent.reason} (completed after a break)")
            settled.append(f"completed the {what} version {intent.to_version}")
        else:
            _restore(registry, use_case, intent.evidence["aliases"])
            ledger.close_intent(conn, intent, "abandoned", "cut off before production moved")
            settled.append(f"abandoned the {what} version {intent.to_version}")
        conn.commit()
    return settled


def _settle_link(conn: psycopg.Connection[Any], registry: AliasMover, intent: ledger.Entry) -> str:
    challenger = intent.evidence["link"]
    has_moved = registry.alias_version(intent.use_case, link_alias(challenger)) == intent.to_version
    if has_moved:
        ledger.close_intent(conn, intent, "linked", f"{intent.reason} (completed after a break)")
    else:
        ledger.close_intent(conn, intent, "abandoned", "cut off before the link moved")
    conn.commit()
    done = "completed" if has_moved else "abandoned"
    return f"{done} the move of the link of '{challenger}' to version {intent.to_version}"


def _restore(registry: AliasMover, use_case: str, before: Mapping[str, int]) -> None:
    """Put back the aliases that move before `production` does."""
    aliases = registry.aliases(use_case)
    moved_first: tuple[Alias, ...] = ("previous", "original")
    for alias in moved_first:
        if alias in before:
            if aliases.get(alias) != before[alias]:
                with suppress(UnknownVersion):  # deleted in the meantime
                    registry.set_alias(use_case, alias, before[alias])
        elif alias in aliases:
            registry.delete_alias(use_case, alias)
