"""Bodies that may be empty: what is asked of a run, or of a rollback."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.answers.requests import parse_object
from service.errors import refused_option

M = TypeVar("M", bound=BaseModel)


def read_options(body: bytes, model: type[M]) -> M:
    """What a body asks for; an empty one asks for nothing.

    Raises:
        NotJson: it is no JSON.
        Invalid: naming the first option that is unknown or not allowed.
    """
    if not body.strip():
        return model()
    try:
        return model.model_validate(parse_object(body), strict=True)
    except ValidationError as error:
        raise refused_option(error, model) from error
