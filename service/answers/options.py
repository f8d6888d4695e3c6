"""The options of a run or a rollback, from a request body that may be empty."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.answers.bodies import ensure_no_key_twice
from service.errors import option_error

M = TypeVar("M", bound=BaseModel)


def read_options(body: bytes, model: type[M]) -> M:
    """The options in a JSON body; an empty body stands for the defaults of `model`.

    Raises:
        NotJson: it is no JSON.
        RepeatedKey: an option is there twice.
        Invalid: an option is unknown or not allowed; the message names the first.
    """
    if not body.strip():
        return model()
    try:
        return model.model_validate(ensure_no_key_twice(body), strict=True)
    except ValidationError as error:
        raise option_error(error, model) from error
