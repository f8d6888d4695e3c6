"""Which sources are held back, by the rules of the configuration or because a person said so.

Who contradicts is counted anew from what is stored, so a source that mends its labels is released by itself.
A source that is held back keeps its labels and its votes: rows that others labelled too are decided by
those, and rows that only it labelled are neither learned from nor judged on. Once it is released these
count as new.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from configs.schema import HoldBackConfig, UseCase
from store.database.locks import lock_transaction
from store.errors import UnknownSource
from store.feedback.insertion import LABELS_CHANNEL
from store.feedback.sources import held_sources, root_of, spellings_of
from store.feedback.votes import decide_anew
from store.sources.counts import (
    Contradictions,
    count_contradictions,
    count_labels,
    join_label_counts,
)
from store.sources.standings import SourceStanding, Told, read_sources

RENEW = """
    WITH unheard AS (
        SELECT * FROM feedback WHERE use_case = %(use_case)s
            AND (coalesce(said_by, 'earlier') = ANY(%(released)s)
                OR split_part(coalesce(said_by, 'earlier'), '/', 1) = ANY(%(released)s)) FOR UPDATE
    ), kept AS (
        INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
            record_group)
        SELECT use_case, identity, seq, record, label, received_at, event_time, record_group FROM unheard
    )
    UPDATE feedback f SET seq = nextval('feedback_seq')
    FROM unheard u WHERE f.use_case = u.use_case AND f.identity = u.identity"""
"""Rows of sources that count again are new labels; snapshots of before find them by their old numbers."""
SAVE = """
    INSERT INTO label_source (use_case, name, labels, compared, contradicts, held_since, reason)
    VALUES (%(use_case)s, %(name)s, %(labels)s, %(compared)s, %(contradicts)s,
        CASE WHEN %(reason)s::text IS NOT NULL THEN now() END, %(reason)s)
    ON CONFLICT (use_case, name) DO UPDATE SET labels = excluded.labels, compared = excluded.compared,
        contradicts = excluded.contradicts, reason = excluded.reason,
        held_since = CASE WHEN excluded.reason IS NOT NULL
            THEN coalesce(label_source.held_since, excluded.held_since) END"""
COUNTED = """
    INSERT INTO label_source_count (use_case, vote_seq, rules) VALUES (%s, %s, %s)
    ON CONFLICT (use_case) DO UPDATE SET vote_seq = excluded.vote_seq, rules = excluded.rules, at = now()"""
TELL = """
    INSERT INTO label_source (use_case, name, told, actor, told_at)
    VALUES (%(use_case)s, %(name)s, %(told)s, %(actor)s, now())
    ON CONFLICT (use_case, name) DO UPDATE SET told = excluded.told, actor = excluded.actor,
        told_at = excluded.told_at"""
_LAST_VOTE = "SELECT coalesce(max(seq), 0) FROM feedback_vote WHERE use_case = %s"


def settle_sources(
    conn: psycopg.Connection[Any], use_case: UseCase, *, always: bool = True
) -> list[SourceStanding]:
    """Count what sources say, hold back or release by the rules, and decide anew what that changes.

    Args:
        conn: in a transaction or not; what changed is durable with it.
        always: also where no vote has come since the last count, and time by itself changes nothing.
    """
    rules, name = use_case.labels.hold_back, use_case.name
    if not always and rules.floods is None and not _is_stale(conn, name, rules):
        return read_sources(conn, name)
    with conn.transaction(), conn.cursor() as cursor:
        lock_transaction(conn, "feedback", name)
        (last_vote,) = conn.execute(_LAST_VOTE, (name,)).fetchone() or (0,)
        before = held_sources(conn, name)
        held, counts = judge_sources(conn, name, rules, read_sources(conn, name))
        _save(conn, name, held, counts)
        _move(cursor, name, before, sorted(held))
        conn.execute(COUNTED, (name, last_vote, rules.model_dump_json()))
    return read_sources(conn, name)


def tell_source(
    conn: psycopg.Connection[Any], use_case: UseCase, name: str, told: Told, actor: str
) -> list[SourceStanding]:
    """Hold a source back, or let it count whatever the rules say, until a person says otherwise.

    Raises:
        UnknownSource: no label is of it.
    """
    with conn.transaction():
        names = {one.name for one in settle_sources(conn, use_case)}
        known = names | {root_of(one) for one in names}
        found = next((one for one in spellings_of(name) if one in known), None)
        if found is None:
            raise UnknownSource(use_case.name, name, sorted(names))
        conn.execute(TELL, {"use_case": use_case.name, "name": found, "told": told, "actor": actor})
        return settle_sources(conn, use_case)


def judge_sources(
    conn: psycopg.Connection[Any],
    use_case: str,
    rules: HoldBackConfig,
    standings: Collection[SourceStanding],
) -> tuple[dict[str, str], dict[str, Contradictions]]:
    """Which sources are to be held back and why, and what each was counted at.

    The most suspect is held back first, and the others are counted anew without it: whoever only
    contradicted that one is not suspect any more. One that is held back has no voice against the others, or
    a second liar would let the first one go; it is released when it does not contradict them any more.
    """
    held = {
        one.name: f"{one.actor} said so on {one.told_at:%Y-%m-%d %H:%M}"
        for one in standings
        if one.told == "hold"
    }
    trusted = {one.name for one in standings if one.told == "release"}
    before = [one.name for one in standings if one.held_since is not None and one.name not in trusted]
    suspects = _Suspects(conn, use_case, rules, trusted)
    flooding = _flooding(conn, use_case, rules, trusted | held.keys())
    silent = dict.fromkeys(before, "") | held | flooding
    counts = suspects.count([])
    while (suspect := suspects.most_suspect(silent)) is not None:
        counts[suspect.name] = suspect
        silent[suspect.name] = contradiction_sentence(suspect, rules)
    for name in before:
        if silent[name] == "":
            still = suspects.still_suspect(name, silent)
            if still is None:
                del silent[name]
            else:
                counts[name], silent[name] = still, contradiction_sentence(still, rules)
    # Those held back as they were when that was decided, the others as they stand without them.
    kept = {name: one for name, one in counts.items() if {name, root_of(name)} & silent.keys()}
    return silent, kept | suspects.count(silent)


@dataclass(frozen=True)
class _Suspects:
    """Counts sources, and says which contradict the others too often."""

    conn: psycopg.Connection[Any]
    use_case: str
    rules: HoldBackConfig
    trusted: Collection[str]

    def count(self, silent: Collection[str]) -> dict[str, Contradictions]:
        """Every source that shares rows with others, but for the silent ones."""
        return {one.name: one for one in count_contradictions(self.conn, self.use_case, sorted(silent))}

    def most_suspect(self, silent: Collection[str]) -> Contradictions | None:
        """The source, or key that names several, that most deserves to be held back; None: none does."""
        return max(self._suspects(silent), key=lambda one: one.suspicion, default=None)

    def still_suspect(self, name: str, silent: Collection[str]) -> Contradictions | None:
        """One of the silent, counted among those that are not; None: it contradicts them too little."""
        among = [one for one in silent if one != name]
        return next((one for one in self._suspects(among) if one.name == name), None)

    def _suspects(self, silent: Collection[str]) -> list[Contradictions]:
        if self.rules.contradicts is None:
            return []
        counted = self.count(silent)
        several = {root_of(name) for name in counted if name != root_of(name)}
        keys = count_contradictions(self.conn, self.use_case, sorted(silent), keys=True) if several else []
        return [
            one
            for one in (*counted.values(), *(key for key in keys if key.name in several))
            if one.compared >= self.rules.min_compared
            and one.share > self.rules.contradicts
            and not {one.name, root_of(one.name)} & set(self.trusted)
        ]


def contradiction_sentence(one: Contradictions, rules: HoldBackConfig) -> str:
    """Why a source is held back that contradicts the others."""
    return (
        f"contradicts other sources in {one.contradicts} of {one.compared} rows that both labelled "
        f"({one.share:.0%}; allowed: {rules.contradicts:.0%}, labels.hold_back.contradicts)"
    )


def _flooding(
    conn: psycopg.Connection[Any], use_case: str, rules: HoldBackConfig, except_for: set[str]
) -> dict[str, str]:
    """Sources that sent more than their share of the last hours, where there are others."""
    if rules.floods is None:
        return {}
    labels = count_labels(conn, use_case, rules.flood_hours)
    total = sum(labels.values())
    if total < rules.min_flood or len({root_of(name) for name in labels}) < 2:
        return {}
    by_root: dict[str, int] = {}
    for name, count in labels.items():
        by_root[root_of(name)] = by_root.get(root_of(name), 0) + count
    return {
        name: f"sent {count:,} of {total:,} labels of the last {rules.flood_hours:g} hours "
        f"({count / total:.0%}; allowed: {rules.floods:.0%}, labels.hold_back.floods)"
        for name, count in by_root.items()
        if count / total > rules.floods and name not in except_for
    }


def _is_stale(conn: psycopg.Connection[Any], use_case: str, rules: HoldBackConfig) -> bool:
    row = conn.execute(
        f"SELECT ({_LAST_VOTE}) IS DISTINCT FROM vote_seq OR rules <> %s FROM label_source_count"
        " WHERE use_case = %s",
        (use_case, rules.model_dump_json(), use_case),
    ).fetchone()
    return row is None or bool(row[0])


def _save(
    conn: psycopg.Connection[Any],
    use_case: str,
    held: Mapping[str, str],
    counts: Mapping[str, Contradictions],
) -> None:
    join_label_counts(conn, use_case)
    labels = count_labels(conn, use_case)
    conn.execute(
        "DELETE FROM label_source WHERE use_case = %s AND name <> ALL(%s) AND told IS NULL",
        (use_case, [*labels, *held]),
    )
    for name in {*labels, *held}:
        count = counts.get(name)
        own = labels.get(name) or sum(n for one, n in labels.items() if root_of(one) == name)
        conn.execute(
            SAVE,
            {
                "use_case": use_case,
                "name": name,
                "labels": own,
                "compared": 0 if count is None else count.compared,
                "contradicts": 0 if count is None else count.contradicts,
                "reason": held.get(name),
            },
        )


def _move(cursor: psycopg.Cursor[Any], use_case: str, before: list[str], held: list[str]) -> None:
    released, moved = sorted(set(before) - set(held)), sorted(set(before) ^ set(held))
    if not moved:
        return
    renewed = 0
    if released:
        parameters = {"use_case": use_case, "released": released, "held": held}
        renewed = cursor.execute(RENEW, parameters).rowcount
    if decide_anew(cursor, use_case, held, moved) or renewed:
        cursor.execute("SELECT pg_notify(%s, %s)", (LABELS_CHANNEL, use_case))
