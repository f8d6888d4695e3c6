"""GET /v1/{use_case}/replays and /v1/{use_case}/replays/{replay_id} in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.paths.reports import COUNT
from service.openapi.schema_parts import (
    DATE_TIME,
    NUMBER,
    STRING,
    Schema,
    array_of,
    link,
    map_of,
    nullable,
    object_of,
    parameter,
)
from service.state.replays import MOST_REPLAYS, REPLAYS

REPLAY_ID: Schema = STRING | {"pattern": "^[0-9a-f]{16}$"}
_FIGURES: Schema = {
    "accuracy": NUMBER | {"description": "Share of rows answered rightly before their labels came."},
    "promotions": COUNT,
    "worse": COUNT | {"description": "Promotions after which the replaced model would have done better."},
    "harmful": COUNT | {"description": "Those of them that chance does not explain."},
    "rollbacks": COUNT,
    "retrains": COUNT,
    "fit_seconds": NUMBER,
    "seconds": NUMBER,
}
_PERIODS: Schema = {
    "by_period": array_of(NUMBER, "Accuracy of each period."),
    "promoted_at": array_of(COUNT, "Periods, from 0, that another model began to serve."),
    "harm": array_of(NUMBER, "By how much each harmful promotion was worse."),
    "notes": array_of(STRING, "What was decided in each period, where the policy tells."),
}
_REPLAY: Schema = {
    "id": REPLAY_ID,
    "at": DATE_TIME,
    "source": STRING | {"description": "The file that was replayed, or `the store`."},
    "periods": COUNT,
    "rows": COUNT,
    "first_rows": COUNT | {"description": "Rows that the first model learned from."},
    "refused": COUNT | {"description": "Rows of the file that could not be used."},
    "delay": COUNT | {"description": "Periods that labels took to come."},
    "left_out": map_of(STRING, "Policies that could not be played, and why."),
}


def replay_paths(name: str) -> Schema:
    """Path to operations, of one use case."""
    base = f"/v1/{name}/replays"
    return {base: {"get": _list(name)}, f"{base}/{{replay_id}}": {"get": _one(name)}}


def _list(name: str) -> Schema:
    replay = object_of({**_REPLAY, "policies": map_of(object_of(_FIGURES), "By name of the policy.")})
    unended = object_of({"id": REPLAY_ID, "fits": COUNT, "last_at": DATE_TIME, "command": nullable(STRING)})
    failed = object_of({"id": REPLAY_ID, "fits": COUNT, "at": DATE_TIME, "error": STRING, "command": STRING})
    damaged = object_of({"id": REPLAY_ID, "problem": STRING})
    response = {
        "use_case": STRING,
        "replays": array_of(replay),
        "unended": array_of(unended, "Under way, stopped or killed."),
        "failed": array_of(failed, "Ended by an error; `command` tries it again, and makes no fit twice."),
        "damaged": array_of(damaged),
    }
    most = {"type": "integer", "minimum": 1, "maximum": MOST_REPLAYS, "default": REPLAYS}
    limit = parameter("limit", "query", most, "The newest so many.")
    listed = operation(
        name, f"{name}_replays", "Replays that are kept", response=object_of(response), parameters=[limit]
    )
    ids = {"replay_id": "$response.body#/replays/0/id"}
    listed["responses"]["200"]["links"] = {"replay": link(f"{name}_replay", ids, "All of one.")}
    return listed


def _one(name: str) -> Schema:
    policies = map_of(object_of({**_FIGURES, **_PERIODS}), "By name of the policy.")
    starts = array_of(nullable(DATE_TIME), "Of each period; null where rows have no times.")
    return operation(
        name,
        f"{name}_replay",
        "One replay, period by period",
        response=object_of({"use_case": STRING, **_REPLAY, "policies": policies, "starts": starts}),
        parameters=[parameter("replay_id", "path", REPLAY_ID, "As in the list.")],
        more_errors={"404": "No such replay, or one that is damaged or has not ended (`no_replay`)."},
    )
