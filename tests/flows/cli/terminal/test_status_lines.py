"""What is told of a shadow version, figure by figure."""

from __future__ import annotations

from typing import Any

from flows.cli.terminal.status_lines import shadow_lines

ASKED: dict[str, Any] = {
    "since": "2026-11-27T05:08:39+00:00", "pairs": [{"served": "poor", "shadow": "good", "count": 1033}],
    "failures": [{"kind": "ValueError", "count": 3, "example": "ValueError: no"}], "left_out": 1200,
    "alone_ms": 0.2104, "production_ms": 0.1987, "batch_ms": 0.09,
    "scores": {"shadow_mean": 0.935, "served_mean": 0.982, "moved": True, "distance": 0.15},
    "right": {
        "better": 22, "worse": 0, "labelled": 278, "evidence_better": 89138.9,
        "evidence_worse": 0.0212, "line": 20.0,
    },
}  # fmt: skip


def test_every_figure_has_its_line() -> None:
    assert shadow_lines(ASKED) == {
        "since": "2026-11-27 05:08",
        "shadow where served": "good where poor: 1,033",
        "failures": "3 ValueError: no",
        "left out": "1,200 records",
        "computing": "0.21 ms a record by itself, production 0.199 ms; in batches 0.09 ms",
        "scores": "mean 0.935, served 0.982: moved (distance 0.150)",
        "evidence": "better on 22, worse on 0 of 278; evidence that it is better: 89,139, worse: 0.02, "
        "of the 20 that settle it",
    }


def test_what_is_not_known_has_none() -> None:
    nothing = dict.fromkeys(("since", "alone_ms", "production_ms", "batch_ms", "scores", "right"))
    assert shadow_lines(ASKED | nothing | {"pairs": [], "failures": [], "left_out": 0}) == {}
    assert (
        shadow_lines(ASKED | {"production_ms": None, "batch_ms": None})["computing"]
        == "0.21 ms a record by itself"
    )
