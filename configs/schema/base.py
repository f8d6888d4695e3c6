"""Base of every part of a use case's description: immutable, and unknown keys are refused.

Wrong types and combinations that cannot work are refused as well, when the file is read, with the file, the
key, the value that arrived and what is allowed (see `configs.loading`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from configs.spelling.letters import compose

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]
ColumnName = Annotated[str, AfterValidator(compose)]
"""Of a column in files: readers compose the letters of theirs too."""
_PERCENT = re.compile(r"\s*(\d{1,9}(?:[.,]\d{1,9})?)\s*%\s*")
_MOST = {"less_than": "lt", "less_than_equal": "le"}


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def describe_bound(constraint: object, spec: str = "g") -> str | None:
    """What a constraint of a number allows, in words; None: it is none.

    Args:
        spec: how the number is written, as `format` takes it.

    >>> describe_bound(Gt(0)), describe_bound(Le(8760), ",")
    ('above 0', 'at most 8,760')
    """
    match constraint:
        case Ge(ge=value):
            return f"at least {value:{spec}}"
        case Gt(gt=value):
            return f"above {value:{spec}}"
        case Le(le=value):
            return f"at most {value:{spec}}"
        case Lt(lt=value):
            return f"below {value:{spec}}"
    return None


def describe_share(problem: Mapping[str, Any]) -> str:
    """How a share is written, to stand behind a problem that pydantic found where percent have come.

    >>> describe_share({"type": "less_than", "input": 20, "ctx": {"lt": 1.0}})
    '; it is a share, 0.2 for 20 %'
    """
    kind, came = problem["type"], problem["input"]
    if kind == "float_parsing" and (written := _PERCENT.fullmatch(came)) is not None:
        return f"; {came.strip()} is written {float(written[1].replace(',', '.')) / 100:g}"
    if kind not in _MOST or isinstance(came, bool) or not isinstance(came, int | float):
        return ""
    most = problem["ctx"][_MOST[kind]]
    if most > 1:
        return ""
    fits = came > 1 and (came / 100 < most or (kind == "less_than_equal" and came / 100 == most))
    example = came if fits else 50 * most
    return f"; it is a share, {example / 100:g} for {example:g} %"
