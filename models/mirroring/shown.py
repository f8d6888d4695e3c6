"""How the shadow version of a use case stands, for status, page and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import psycopg

from configs.schema import UseCase
from models.mirroring.comparison import RightAnswers, ScoreMove, compare_right, compare_scores
from store.predictions.shadow_answers import GIVEN_UP, ShadowStanding, find_standing
from store.predictions.shadow_figures import Newest, read_labelled, read_newest


def shadow_facts(conn: psycopg.Connection[Any], use_case: UseCase) -> dict[str, Any] | None:
    """What its answers come to beside those that were served; None: no shadow is configured.

    Totals are of all its answers, pairs, failures, costs and scores of the newest 5,000.
    """
    alias = use_case.serving.shadow
    if alias is None:
        return None
    standing = find_standing(conn, use_case.name)
    if standing is None or standing.alias != alias:
        return _told(
            alias, None, None, None, None, f"nobody has taken up shadow '{alias}' yet: the worker does"
        )
    if standing.version is None or standing.answered == 0:
        return _told(alias, standing, None, None, None, sentence_of(use_case.name, standing, None, None))
    newest = read_newest(conn, use_case.name, standing.version, standing.since)
    counts = read_labelled(conn, use_case.name, standing.version, standing.since)
    right = compare_right(counts, standing.answered, standing.audited)
    scores = compare_scores(newest.served_scores, newest.shadow_scores)
    sentence = sentence_of(use_case.name, standing, newest, right)
    return _told(alias, standing, newest, right, scores, sentence)


def sentence_of(
    use_case: str, standing: ShadowStanding, newest: Newest | None, right: RightAnswers | None
) -> str:
    """For a person: which version, whether it is asked, then the figures."""
    told = _state(use_case, standing)
    if standing.answered == 0:
        return told
    figures = [f"asked about {standing.answered:,} live records"]
    answered = standing.answered - standing.failed
    if answered:
        figures.append(f"answered {standing.differing / answered:.1%} otherwise")
        if newest is not None and newest.pairs:
            pair = newest.pairs[0]
            figures[-1] += f" (most often {pair.shadow} where {pair.served} was served)"
    if standing.failed:
        figures.append(f"could not answer {standing.failed:,}")
    if standing.left_out:
        figures.append(f"{standing.left_out:,} were left out")
    if right is not None:
        figures.append(_right(right))
    return f"{told}; {', '.join(figures)}"


def _state(use_case: str, standing: ShadowStanding) -> str:
    version, alias = standing.version, standing.alias
    named = f"version {version} ({alias})"
    again = f"it is not asked again until the alias moves; `ratchet shadow {use_case} --again` tries it"
    told = {
        "starting": f"{named} is being loaded, with what cores others leave it",
        "asked": f"{named} will be tried again",
        "answers": f"{named} is asked beside what serves",
        "serves": f"nothing to do: {alias} is version {version}, which serves",
        "missing": f"no version has the alias {alias}",
        "broken": f"{named} cannot answer: {standing.why}; {again}",
        "hangs": f"{named} hangs: {standing.why}; {again}",
        "ends": f"{named} ends its process: {standing.why}; {again}",
    }
    return told[standing.state]


def _right(right: RightAnswers) -> str:
    rows = f"{'audited' if right.of == 'audited' else 'labelled'} answers"
    mine, theirs = right.shadow_right / right.labelled, right.served_right / right.labelled
    told = (
        f"right in {mine:.1%} of {right.labelled:,} {rows}, what was served in {theirs:.1%}"
        f" (difference {100 * right.low:+.1f} to {100 * right.high:+.1f} points)"
    )
    if right.warning is not None:
        return f"{told}; {right.warning}"
    return told if right.verdict == "open" else f"{told}, and surely {right.verdict}"


def _told(
    alias: str,
    standing: ShadowStanding | None,
    newest: Newest | None,
    right: RightAnswers | None,
    scores: ScoreMove | None,
    sentence: str,
) -> dict[str, Any]:
    kept: Mapping[str, Any] = {} if standing is None else asdict(standing)
    names = ("version", "why", "answered", "differing", "failed", "left_out", "production")
    times = {name: None if name not in kept else kept[name].isoformat() for name in ("since", "changed_at")}
    answered = kept.get("answered", 0) - kept.get("failed", 0)
    return {
        "alias": alias,
        "state": "starting" if standing is None else standing.state,
        **{name: kept.get(name) for name in names},
        **times,
        "given_up": standing is not None and standing.state in GIVEN_UP,
        "share_differing": round(kept["differing"] / answered, 4) if answered else None,
        "alone_ms": _short(kept.get("alone_ms")),
        "production_ms": _short(kept.get("production_ms")),
        "batch_ms": None if newest is None else _short(newest.ms),
        "pairs": [] if newest is None else [asdict(pair) for pair in newest.pairs],
        "failures": [] if newest is None else [asdict(failure) for failure in newest.failures],
        "scores": None if scores is None else scores.as_dict(),
        "right": None if right is None else right.as_dict(),
        "sentence": sentence,
    }


def _short(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 4)
