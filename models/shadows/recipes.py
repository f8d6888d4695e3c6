"""How challengers of one name are made: a record is worth nothing to one that is made otherwise."""

from __future__ import annotations

import hashlib

import orjson

from configs.schema import UseCase
from configs.schema.features import STANDARD


def recipe_digest(use_case: UseCase, challenger: str) -> str | None:
    """Digest of all that a configuration says of how a challenger is made; None: it has none of that name.

    Fields and classes are not part of it: they are what it learns from, not how.
    """
    made = next((one for one in use_case.training.challengers if one.name == challenger), None)
    if made is None:
        return None
    told = {"model": use_case.model.model_dump(mode="json"), "challenger": made.recipe()}
    if use_case.features.encoder != STANDARD:
        told["encoder"] = {"name": use_case.features.encoder, "params": use_case.features.params}
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
