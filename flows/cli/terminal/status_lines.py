"""The status as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from configs.security.printable import printable
from flows.cli.terminal.output import facts, styled, table
from flows.cli.terminal.words import asked_by, many, plain_words
from flows.status.reading import Status
from flows.status.use_cases import UseCaseStatus
from models.probation.evidence import short
from store.service_replicas import Replica

ALWAYS_SHOWN = ("production", "labels", "retrain")
"""With a dash where there is none: that there is no model is no lesser fact than which it is."""
NOTHING_ON = "nothing on"


def status_parts(status: Status) -> Iterator[RenderableType]:
    """A table of servers, then a few lines for each use case."""
    rows = [
        (one.name, one.state if one.ours else f"{one.state} (yours)", one.address, one.pid)
        for one in status.servers
    ]
    yield table("", ["server", "state", "address", "pid"], rows)
    if status.supervisor is not None:
        yield Text(f"watched by pid {status.supervisor.pid} since {_time(status.supervisor.since)}")
    if len(status.replicas) > 1 or any(one.state != "serving" for one in status.replicas):
        yield table("", ["service", "state", "serves", "heard"], [_replica(one) for one in status.replicas])
    if len(status.workers) > 1:
        yield table(
            "", ["worker", "state", "heard"],
            [(one.name, one.state, _second(one.seen_at)) for one in status.workers],
        )  # fmt: skip
    for one in status.use_cases:
        yield Text.assemble("\n", styled(one.name), f": {printable(one.title)}")
        yield facts({f"  {what}": value for what, value in _in_short(use_case_lines(one)).items()})


def _in_short(lines: Mapping[str, str | None]) -> dict[str, str | None]:
    """The lines that tell something, and in one what there is nothing on."""
    told = {what: value for what, value in lines.items() if value is not None or what in ALWAYS_SHOWN}
    others = [what for what in lines if what not in told]
    return told | ({NOTHING_ON: ", ".join(others)} if others else {})


def _replica(one: Replica) -> tuple[str, str, str, str]:
    """A service of this database: what it serves since when, and when it was heard last."""
    serves = (
        f"{name} {'/'.join(map(str, told.versions))}"
        + ("" if told.since is None else f" since {_time(told.since)}")
        for name, told in one.serving.items()
    )
    return one.address, one.state, "; ".join(serves), _second(one.seen_at)


def use_case_lines(one: UseCaseStatus) -> dict[str, str | None]:
    """Where a use case stands, in words; None where nothing is known or there is nothing."""
    return {
        "production": None if one.production is None else f"version {one.production}, {_age(one.age_days)}",
        "problem": one.problem,
        "service": one.service,
        "plain model": one.plain,
        "labels": _labels(one.labels, one.new_labels, one.new_since, one.untried_labels),
        "quarantine": _quarantine(one.name, one.quarantine),
        "beyond fence": None if one.fence is None else one.fence["sentence"],
        "taken back": _taken_back(one.taken_back),
        "sources": _sources(one.name, one.sources),
        "left out": _left_out(one.name, one.left_out_rows),
        "live quality": _quality(one.quality),
        "audits": _audits(one.name, one.quality),
        "chosen labels": None if one.chosen_labels is None else one.chosen_labels["sentence"],
        "record": _record(one.record),
        "probation": None if one.probation is None else one.probation["sentence"],
        "canary": None if one.canary is None else one.canary["sentence"],
        "shadow": None if one.shadow is None else one.shadow["sentence"],
        "next by labels": _progress(one.untried_labels, one.every_labels),
        "retrain": _retrain(one.name, one.retrain, one.next_runs.get("retrain")),
        "paused": None if one.paused is None else f"by {one.paused['actor']}: {one.paused['reason']}",
        "last run": _run(one.last_run),
        "warnings": None if one.last_run is None else "; ".join(one.last_run.get("warnings", ())) or None,
        "last drift check": _drift(one.last_drift),
        "next": ", ".join(f"{flow} {_time(at)}" for flow, at in one.next_runs.items()) or None,
    }


def _age(days: float | None) -> str:
    return "age unknown" if days is None else f"{days:.1f} days old"


def _labels(labels: int | None, new: int | None, since: str | None, untried: int | None) -> str | None:
    """In all, those that are new, and those of these that no run has tried."""
    if labels is None or new is None or since is None:
        return None if labels is None else f"{labels}"
    tried = "" if untried is None else f", {untried} of them untried by a run"
    return f"{labels}, of which {new} new since {since}{tried}"


def _quarantine(name: str, facts: Mapping[str, Any] | None) -> str | None:
    if facts is None or facts["rows"] == 0:
        return None
    first = facts["reasons"][0]
    return f"{many(facts['rows'], 'row')}, most of them: {first['example']}; ratchet quarantine list {name}"


def _taken_back(facts: Mapping[str, Any] | None) -> str | None:
    if facts is None or facts["last"] is None:
        return None
    labels, last = facts["labels"], facts["last"]
    why = f": {last['reason']}" if last["reason"] else ""
    return f"{many(labels, 'label')}, the last {_time(last['at'])} by {last['actor']}{why}"


def _sources(name: str, facts: Mapping[str, Any] | None) -> str | None:
    """Contradictions, and which sources are held back; nothing where one source says all."""
    if facts is None:
        return None
    if facts["warning"] is not None:
        return str(facts["warning"])
    told = [
        f"'{one['name']}' contradicts others in {one['contradicts']} of {many(one['compared'], 'row')}"
        for one in facts["sources"]
        if one["contradicts"]
    ]
    return f"{'; '.join(told)}; ratchet sources list {name}" if told else None


def _left_out(name: str, rows: int | None) -> str | None:
    """Stored rows that do not fit, as the last run had them."""
    if not rows:
        return None
    return f"{many(rows, 'stored row')} did not fit the configuration in the last run; ratchet recheck {name}"


def _quality(quality: Mapping[str, Any] | None) -> str | None:
    """How the newest answers fare, beside what was promised."""
    if quality is None or quality["newest"] is None:
        return None
    newest, promised = quality["newest"], quality["at_promotion"]
    live = f"{quality['metric']} {newest['accuracy']:.3f} ({newest['low']:.3f} to {newest['high']:.3f})"
    judged = "" if promised is None else f"; {promised:.3f} when it was judged"
    coverage = quality["coverage"]
    warning = "" if coverage["warning"] is None else f"; {coverage['warning']}"
    return f"{live} on the newest {newest['labelled']} labelled answers{judged}{warning}"


def _audits(name: str, quality: Mapping[str, Any] | None) -> str | None:
    """How many answers drawn by chance have their label, of the last days."""
    audits = None if quality is None else quality["audits"]
    if audits is None or audits["sentence"] is None:
        return None
    waiting = "" if audits["labelled"] == audits["answers"] else f"; ratchet audits {name}"
    return f"{audits['sentence']}{waiting}"


def _record(record: Mapping[str, Any] | None) -> str | None:
    """What new models gain, and what is missing for the next promotion; nothing before the first verdict."""
    if record is None or record["last"] is None:
        return None
    told, missing = record["sentence"], f"for the next promotion by it: {record['missing']}"
    return missing if told is None else f"{told}; {missing}"


def _progress(untried: int | None, every: int | None) -> str | None:
    """How far labels have come towards the next retrain."""
    if untried is None or every is None:
        return None
    return f"{min(untried, every)} of {every} ({min(100.0, 100 * untried / every):.0f}%)"


def _retrain(name: str, decision: Mapping[str, Any] | None, scheduled: str | None) -> str | None:
    """What would start one by itself: the schedule does so whatever the labels say, and so may a person."""
    if decision is None:
        return None
    told = f"{plain_words(decision['verdict'])}: {decision['recommendation']}"
    if decision["verdict"] == "wait":
        told = f"{told}; {decision['reasons'][-1]}"  # why labels, as many as there are, start none
    if scheduled is None or decision["verdict"] == "retrain":
        return told
    return f"{told}; the schedule starts one {_time(scheduled)} all the same, `ratchet retrain {name}` now"


def _run(run: Mapping[str, Any] | None) -> str | None:
    if run is None:
        return None
    ended = run["outcome"] or run["error"]
    return f"{_time(run['requested_at'])} {run['status']} ({asked_by(run['trigger'])})" + (
        f": {ended}" if ended else ""
    )


def _drift(check: Mapping[str, Any] | None) -> str | None:
    if check is None:
        return None
    return f"{_time(check['at'])} {plain_words(check['verdict'])}: {check['sentence']}"


def shadow_lines(shadow: Mapping[str, Any]) -> dict[str, str]:
    """What the version of `serving.shadow` says of live records, figure by figure; none that is not known."""
    scores = shadow["scores"]
    lines: dict[str, str | None] = {
        "since": None if shadow["since"] is None else _time(shadow["since"]),
        "shadow where served": "; ".join(
            f"{pair['shadow']} where {pair['served']}: {pair['count']:,}" for pair in shadow["pairs"]
        ),
        "failures": "; ".join(f"{one['count']:,} {one['example']}" for one in shadow["failures"]),
        "left out": None if not shadow["left_out"] else f"{shadow['left_out']:,} records",
        "computing": _computing(shadow),
        "scores": None
        if scores is None
        else f"mean {scores['shadow_mean']:.3f}, served {scores['served_mean']:.3f}: "
        f"{'moved' if scores['moved'] else 'not moved'} (distance {scores['distance']:.3f})",
        "evidence": None if shadow["right"] is None else _evidence(shadow["right"]),
    }
    return {what: told for what, told in lines.items() if told}


def _computing(shadow: Mapping[str, Any]) -> str | None:
    """Milliseconds for a record by itself, beside production, and in batches."""
    if shadow["alone_ms"] is None:
        return None
    beside = "" if shadow["production_ms"] is None else f", production {shadow['production_ms']:.3g} ms"
    batch = "" if shadow["batch_ms"] is None else f"; in batches {shadow['batch_ms']:.3g} ms"
    return f"{shadow['alone_ms']:.3g} ms a record by itself{beside}{batch}"


def _evidence(right: Mapping[str, Any]) -> str:
    """On how many labelled records it did better and worse, and what bets on either have come to."""
    told = f"better on {right['better']:,}, worse on {right['worse']:,} of {right['labelled']:,}"
    better, worse = short(right["evidence_better"]), short(right["evidence_worse"])
    evidence = f"evidence that it is better: {better}, worse: {worse}"
    return f"{told}; {evidence}, of the {right['line']:g} that settle it"


def _time(at: datetime | str) -> str:
    """A time in UTC, to the minute."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _second(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
