"""Keys that the queries of Ratchet's own calls may have; anything else is refused.

What others' programs call takes any: MLflow's and the Open Inference Protocol's clients, caches before the
page, and those who watch servers add keys of their own. Those routes are not here.
"""

from __future__ import annotations

from collections.abc import Mapping

OF_USE_CASE: Mapping[str, frozenset[str]] = {
    "audits": frozenset({"limit", "days"}),
    "drift": frozenset({"limit"}),
    "ledger": frozenset({"limit"}),
    "quality": frozenset({"windows", "hours"}),
    "quarantine": frozenset({"limit", "after"}),
    "replays": frozenset({"limit"}),
    "retrain/history": frozenset({"limit"}),
    "retrain/progress": frozenset({"run_id", "last_event_id"}),
    "versions": frozenset({"limit"}),
}
"""By path below `/v1/{use_case}/`; those that are not named take none."""
TAKING_BACK = frozenset({"reason"})
"""Of `DELETE /v1/{use_case}/feedback/{id}`."""
NONE: frozenset[str] = frozenset()
