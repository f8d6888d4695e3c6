"""Labels of stored rows after classes were renamed, joined or removed; history keeps what was."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg

from configs.schema import TargetConfig, UseCase
from configs.spelling.letters import compose, decompose, spelled_like
from features.records.labels import LabelContract, join_labels, split_labels
from store.database.locks import lock_transaction
from store.errors import WrongLabels
from store.feedback.insertion import LABELS_CHANNEL
from store.feedback.revisions.setting_aside import remove_rows, set_aside
from store.feedback.votes import decide_rows

RELABEL_ROWS = """
    WITH changed AS (
        SELECT f.*, m.renamed FROM feedback f
        JOIN unnest(%(old)s::text[], %(new)s::text[]) AS m (old, renamed) ON f.label = m.old
        WHERE f.use_case = %(use_case)s FOR UPDATE OF f
    ), kept AS (
        INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
            record_group)
        SELECT use_case, identity, seq, record, label, received_at, event_time, record_group FROM changed
    )
    UPDATE feedback f SET label = c.renamed, seq = nextval('feedback_seq')
    FROM changed c WHERE f.use_case = c.use_case AND f.identity = c.identity"""
VOTED_LABELS = "SELECT DISTINCT label FROM feedback_vote WHERE use_case = %s"
RELABEL_VOTES = """
    UPDATE feedback_vote v SET label = m.renamed
    FROM unnest(%(old)s::text[], %(new)s::text[]) AS m (old, renamed)
    WHERE v.use_case = %(use_case)s AND v.label = m.old"""
TOUCHED = """
    SELECT f.identity, f.label FROM feedback f WHERE f.use_case = %(use_case)s AND f.voted AND f.identity IN (
        SELECT identity FROM feedback_vote WHERE use_case = %(use_case)s AND label = ANY(%(labels)s))"""
LABELS_NOW = "SELECT identity, label FROM feedback WHERE use_case = %s AND identity = ANY(%s)"
DROP_VOTES = "DELETE FROM feedback_vote WHERE use_case = %s AND label = ANY(%s)"
"""Of rows that others have given a label which stays."""
RELABEL_QUARANTINE = """
    UPDATE quarantine q SET "row" = jsonb_set(q."row", '{label}', to_jsonb(m.renamed))
    FROM unnest(%(old)s::text[], %(new)s::text[]) AS m (old, renamed)
    WHERE q.use_case = %(use_case)s AND q.kind = 'record' AND q."row"->>'label' = m.old"""

RELABEL_REFUSED = """
    UPDATE quarantine q SET "row" = jsonb_set(q."row", ARRAY[at.key], to_jsonb(m.renamed))
    FROM unnest(%(old)s::text[], %(new)s::text[]) AS m (old, renamed),
        (VALUES ('row', %(column)s::text), ('item', 'label')) AS at (kind, key)
    WHERE q.use_case = %(use_case)s AND q.kind = at.kind AND q."row"->>at.key = m.old"""


@dataclass(frozen=True)
class LabelChanges:
    """What is to become of labels; where a row may have many, each of them is looked at."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: Collection[str] = ()
    """Rows with one of these are deleted; of many labels only these are."""
    set_aside: Collection[str] = ()
    """Rows with one of these go to quarantine."""
    separator: str | None = None
    """What stood between stored labels, if the configuration has another one now."""


@dataclass(frozen=True)
class RelabelReport:
    """What became of the stored rows."""

    use_case: str
    relabelled: int
    dropped: int
    set_aside: int
    in_quarantine: int
    """Rows there, refused or set aside before, that have a new label now; try them again."""
    unused: tuple[str, ...]
    """Labels of the changes that no stored row has, in whichever form of their letters."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def relabel_rows(conn: psycopg.Connection[Any], use_case: UseCase, changes: LabelChanges) -> RelabelReport:
    """Change, delete or set aside stored rows by their labels, in one transaction.

    Raises:
        WrongLabels: a new label is not one of the classes; nothing was changed.
    """
    changes = replace(changes, renamed=_as_kept(use_case, changes))
    name = use_case.name
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('relabel'), hashtext(%s))", (name,))
        voted = _distinct(conn, VOTED_LABELS, name)
        votes = _plan(use_case.target, changes, voted)
        if votes.labels:  # labels that come meanwhile wait: each is before this as a whole, or after it
            lock_transaction(conn, "feedback", name)
        stored = _distinct(conn, "SELECT DISTINCT label FROM feedback WHERE use_case = %s", name)
        aside = _distinct(
            conn,
            """SELECT DISTINCT "row"->>'label' FROM quarantine WHERE use_case = %s AND kind = 'record'""",
            name,
        )
        plan = _plan(use_case.target, changes, stored)
        gone = remove_rows(conn, name, _numbers(conn, name, plan.dropped))
        away = set_aside(conn, name, dict.fromkeys(_numbers(conn, name, plan.set_aside), SET_ASIDE))
        touched = dict(conn.execute(TOUCHED, {"use_case": name, "labels": votes.labels}).fetchall())
        relabelled = conn.execute(RELABEL_ROWS, _renames(name, plan.renamed)).rowcount
        relabelled += _decide_anew(conn, name, votes, touched)
        relabelled -= sum(label in plan.renamed for label in touched.values())
        renamed_aside = _plan(use_case.target, changes, aside).renamed
        in_quarantine = conn.execute(RELABEL_QUARANTINE, _renames(name, renamed_aside)).rowcount
        refused = {**_renames(name, _in_any_form(changes.renamed)), "column": use_case.target.column}
        in_quarantine += conn.execute(RELABEL_REFUSED, refused).rowcount
        conn.execute("SELECT pg_notify(%s, %s)", (LABELS_CHANNEL, name))
    used = {
        compose(part)
        for label in stored | aside | voted
        for part in [label, *_parts(use_case.target, changes, label)]
    }
    wanted = [*changes.renamed, *changes.dropped, *changes.set_aside]
    return RelabelReport(
        name,
        relabelled,
        len(gone),
        away,
        in_quarantine,
        tuple(one for one in wanted if compose(one) not in used),
    )


def _decide_anew(
    conn: psycopg.Connection[Any], use_case: str, votes: _Plan, touched: Mapping[str, str]
) -> int:
    """Change what sources have said of rows, and decide these by it; returns how many have another label.

    Args:
        touched: of rows that are voted on, by what they are known by, the labels before anything was changed.
    """
    conn.execute(RELABEL_VOTES, _renames(use_case, votes.renamed))
    conn.execute(DROP_VOTES, (use_case, [*votes.dropped, *votes.set_aside]))
    if not touched:
        return 0
    with conn.cursor() as cursor:
        decide_rows(cursor, use_case, list(touched))
    now = conn.execute(LABELS_NOW, (use_case, list(touched))).fetchall()
    return sum(touched[identity] != label for identity, label in now)


SET_ASIDE = "label: set aside by `ratchet relabel`"


@dataclass(frozen=True)
class _Plan:
    renamed: dict[str, str]
    dropped: list[str]
    set_aside: list[str]

    @property
    def labels(self) -> list[str]:
        """All that something becomes of."""
        return [*self.renamed, *self.dropped, *self.set_aside]


def _plan(target: TargetConfig, changes: LabelChanges, stored: Collection[str]) -> _Plan:
    """What becomes of each label as it is stored; those that stay as they are are not in it."""
    plan = _Plan({}, [], [])
    changes = _spelled_like(
        changes, {part for label in stored for part in [label, *_parts(target, changes, label)]}
    )
    for label in stored:
        parts = _parts(target, changes, label)
        if {label, *parts} & set(changes.set_aside):
            plan.set_aside.append(label)
        elif (
            not (rest := [part for part in parts if part not in changes.dropped]) or label in changes.dropped
        ):
            plan.dropped.append(label)
        else:
            new = changes.renamed.get(label) or _join(target, [changes.renamed.get(one, one) for one in rest])
            if new != label:
                plan.renamed[label] = new
    return plan


def _spelled_like(changes: LabelChanges, labels: Collection[str]) -> LabelChanges:
    """The changes, with what they name in the form of its letters in which it is stored."""
    return replace(
        changes,
        renamed={spelled_like(old, labels): new for old, new in changes.renamed.items()}
        | {old: new for old, new in changes.renamed.items() if old in labels},
        dropped={spelled_like(one, labels) for one in changes.dropped},
        set_aside={spelled_like(one, labels) for one in changes.set_aside},
    )


def _in_any_form(renamed: Mapping[str, str]) -> dict[str, str]:
    """Old label to new one for rows that were refused, which are kept as they came."""
    forms = {form(old): new for old, new in renamed.items() for form in (compose, decompose)}
    return {**forms, **renamed}


def _parts(target: TargetConfig, changes: LabelChanges, label: str) -> list[str]:
    if target.task != "multilabel":
        return [label]
    return label.split(changes.separator or target.separator) if label else [label]


def _join(target: TargetConfig, parts: list[str]) -> str:
    if target.task != "multilabel":
        return parts[0]
    # One label may become several.
    return join_labels(
        (one for part in parts for one in split_labels(part, target.separator)), target.separator
    )


def _as_kept(use_case: UseCase, changes: LabelChanges) -> dict[str, str]:
    """Old label to new one, in the spelling in which every other way keeps it.

    Raises:
        WrongLabels: a new one is not allowed, or a label is to become two things.
    """
    kept, problems = LabelContract(use_case.target, use_case.record.missing).check(
        list(changes.renamed.values())
    )
    for label, problem in zip(changes.renamed.values(), problems, strict=True):
        if problem is not None:
            raise WrongLabels(f"'{label}' is no label that rows of '{use_case.name}' may have: {problem}")
    twice = set(changes.dropped) & {*changes.renamed, *changes.set_aside} | (
        set(changes.set_aside) & set(changes.renamed)
    )
    if twice:
        raise WrongLabels(f"label '{min(twice)}' is to become two things; say one")
    return {old: new for old, new in zip(changes.renamed, kept, strict=True) if new is not None}


def _distinct(conn: psycopg.Connection[Any], query: Any, use_case: str) -> set[str]:
    return {str(row[0]) for row in conn.execute(query, (use_case,))}


def _numbers(conn: psycopg.Connection[Any], use_case: str, labels: list[str]) -> list[int]:
    query = "SELECT seq FROM feedback WHERE use_case = %s AND label = ANY(%s)"
    return [row[0] for row in conn.execute(query, (use_case, labels))]


def _renames(use_case: str, renamed: Mapping[str, str]) -> dict[str, Any]:
    return {"use_case": use_case, "old": list(renamed), "new": list(renamed.values())}
