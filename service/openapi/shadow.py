"""The part of retrain/status that tells of the shadow version, in the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from configs.schema import ShadowAlias
from service.openapi.schema_parts import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    array_of,
    enum_of,
    nullable,
    object_of,
)
from store.predictions.shadow_answers import State

_BETWEEN: Schema = {"type": "number", "minimum": -1, "maximum": 1}
SHADOW = nullable(
    object_of(
        {
            "alias": enum_of(*get_args(ShadowAlias)),
            "state": enum_of(*get_args(State)),
            "version": nullable(INTEGER),
            "why": nullable(STRING),
            **dict.fromkeys(("answered", "differing", "failed", "left_out", "production"), nullable(INTEGER)),
            "since": nullable(DATE_TIME),
            "changed_at": nullable(DATE_TIME),
            "given_up": BOOLEAN,
            **dict.fromkeys(("share_differing", "alone_ms", "production_ms", "batch_ms"), nullable(NUMBER)),
            "pairs": array_of(
                object_of({"served": nullable(STRING), "shadow": nullable(STRING), "count": INTEGER})
            ),
            "failures": array_of(object_of({"kind": STRING, "count": INTEGER, "example": STRING})),
            "scores": nullable(
                object_of(
                    {
                        "rows": INTEGER,
                        **dict.fromkeys(("served_mean", "shadow_mean", "distance"), NUMBER),
                        "moved": BOOLEAN,
                    }
                )
            ),
            "right": nullable(
                object_of(
                    {
                        **dict.fromkeys(
                            ("labelled", "served_right", "shadow_right", "better", "worse"), INTEGER
                        ),
                        **dict.fromkeys(("difference", "low", "high"), _BETWEEN),
                        **dict.fromkeys(("evidence_better", "evidence_worse", "line"), NUMBER),
                        "verdict": enum_of("better", "worse", "open"),
                        "of": enum_of("audited", "all"),
                        "warning": nullable(STRING),
                    }
                )
            ),
            "sentence": STRING,
        },
        description="The version of `serving.shadow`, which is asked about live records after they were "
        "answered: how many, how often it says something else than was served, which pairs of labels most "
        "often, what it could not answer (`failed`) or was not asked (`left_out`), milliseconds of computing "
        "for a record by itself beside production and in batches, whether its scores lie elsewhere, and how "
        "often both are right where labels have come. Null: none is configured.",
    )
)
