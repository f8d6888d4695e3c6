"""What is claimed, what was seen of it, and whether that is enough."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.together.challengers import largest_difference
from benchmarks.together.course import Seen
from benchmarks.together.rows import POOL

MOST_SECONDS = 2.0
"""From a promotion until a server answers by it, and by nothing before."""
SAME = 1e-6
"""Between a version's answers here and those that a server sends as JSON."""
DATABASES = {"ratchet": "Ratchet", "ratchet_mlflow": "MLflow", "ratchet_prefect": "Prefect"}


@dataclass(frozen=True)
class Claim:
    """One line of the table."""

    claim: str
    seen: str
    wanted: str
    met: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def judge(seen: Seen, left: Sequence[str]) -> list[Claim]:
    """All of them."""
    return [
        *_retrains(seen),
        *_servers(seen),
        *_tls(seen),
        *_storage(seen),
        Claim("processes, namespaces and links left behind", ", ".join(left) or "none", "none", not left),
    ]


def show(console: Console, claims: Sequence[Claim]) -> None:
    """As a table."""
    table = Table(title="Together")
    for column in ("claim", "seen", "wanted", "met"):
        table.add_column(column)
    for one in claims:
        table.add_row(one.claim, one.seen, one.wanted, "yes" if one.met else "[bold red]no[/]")
    console.print(table)


def _retrains(seen: Seen) -> list[Claim]:
    claims = []
    for name, turn, alone in zip(
        ("retrain", "retrain, Dask worker killed"), seen.turns, seen.here, strict=True
    ):
        outcome = str(turn.result["outcome"])
        same = turn.result["snapshot"] == alone.rows
        apart = largest_difference(turn.answers, alone.answers)
        failures = len(turn.result["failures"])
        claims += [
            Claim(f"{name}: outcome", outcome, "promoted", outcome == "promoted"),
            Claim(
                f"{name}: run by the second worker", "yes" if turn.by_worker else "no", "yes", turn.by_worker
            ),
            Claim(
                f"{name}: challengers made",
                f"{len(turn.models)}, {failures} failed",
                f"{len(POOL)}, 0 failed",
                set(turn.models) == set(POOL) and failures == 0,
            ),
            Claim(f"{name}: rows of the snapshot", "the same" if same else "others", "as without Dask", same),
            Claim(
                f"{name}: largest difference of an answer from without Dask", f"{apart:g}", "0", apart == 0.0
            ),
        ]
    killer = seen.killed
    had = 0 if killer is None else killer.had
    claims.append(
        Claim(
            "Dask worker killed: challengers that it had in hand, exit code",
            f"{had}, {seen.exit_code}",
            f"at least 1, {-signal.SIGKILL}",
            had > 0 and seen.exit_code == -signal.SIGKILL,
        )
    )
    return claims


def _servers(seen: Seen) -> list[Claim]:
    claims = [
        Claim(
            f"promotion {number // 2 + 1}: {what}",
            f"{seconds:.2f} s",
            f"at most {MOST_SECONDS:g} s",
            seconds <= MOST_SECONDS,
        )
        for number, reached in enumerate(seen.reached)
        for what, seconds in reached.items()
    ]
    whole = len(seen.reached) == 2 * len(seen.turns)
    claims.append(Claim("promotions followed by both servers", f"{len(seen.reached)} of 4", "4 of 4", whole))
    apart = max(seen.served_differ, default=float("inf"))
    return [
        *claims,
        Claim(
            "servers' answers from the promoted challenger's",
            f"{apart:.1g}",
            f"at most {SAME:g}",
            apart <= SAME,
        ),
        Claim(
            "requests failed, of all sent",
            f"{seen.failed} of {seen.sent:,}",
            "0",
            seen.failed == 0 < seen.sent,
        ),
    ]


def _tls(seen: Seen) -> list[Claim]:
    sessions = seen.sessions
    assert sessions is not None
    claims = []
    for database, who in DATABASES.items():
        safe, plain = (sessions.of(database, tls=tls) for tls in (True, False))
        claims.append(
            Claim(
                f"sessions of {who} at once, with and without TLS",
                f"{safe} and {plain}",
                "some and none",
                safe > 0 == plain,
            )
        )
    return [
        *claims,
        Claim("without TLS", (seen.plain or "let in")[-90:], "refused", seen.plain is not None),
        Claim(
            "certificate of another authority",
            (seen.stranger or "believed")[-90:],
            "refused",
            seen.stranger is not None,
        ),
    ]


def _storage(seen: Seen) -> list[Claim]:
    kept = seen.kept
    assert kept is not None
    ids = [one for turn in (seen.first, *seen.turns) for one in turn.models.values()]
    found = kept.models(ids)
    commits, files = kept.history
    return [
        Claim("models of challengers in the bucket", f"{found} of {len(ids)}", "all", found == len(ids) > 0),
        Claim(
            "history in the bucket: commits, data files",
            f"{commits}, {files}",
            "3 or more each",
            min(commits, files) >= 3,
        ),
        Claim("the same in folders of homes", ", ".join(seen.in_homes) or "none", "none", not seen.in_homes),
    ]
