"""How production answers: its limits, and the chain of those that answer in turn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.schema.base import Frozen, Identifier
from configs.spelling.letters import twice

ShadowAlias = Literal["challenger", "previous", "original", "canary"]


class CanaryConfig(Frozen):
    """How a version that won is tried on a share of the requests before it becomes production."""

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the keys whose requests it answers."""
    key: Identifier | None = None
    """Field whose value says who answers a record, a customer say; null: the record's group or, without one,
    its id or, without one, all that it contains. The same value has the same version while it is tried."""
    labels: Annotated[int, Field(gt=0)] = 500
    """Labels of records that neither version has learned, after which it becomes production; it is taken back
    as soon as they prove it worse (`probation.false_alarms`)."""
    hours: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """After so many hours it becomes production, however few labels have come."""


class ServingConfig(Frozen):
    """How production answers."""

    max_batch_rows: Annotated[int, Field(gt=0, le=4096)] = 256
    """Most rows in one call of the model."""
    max_records: Annotated[int, Field(gt=0, le=10_000)] = 1000
    """Most records in one request."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 8 * 1024 * 1024
    """Longest body of a request; a longer one is answered 413 without being read."""
    max_pending_jobs: Annotated[int, Field(gt=0, le=10_000_000)] = 10_000
    """Asynchronous requests that may wait to be answered; with more, new ones are told to come later."""
    jobs_keep_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Hours that the answer of an asynchronous request is kept once it is there; later it is 410."""
    unknown_fields: Literal["ignore", "refuse"] = "ignore"
    """What becomes of a record, in a request for predictions or in feedback, with a field that the use case
    does not have, such as one that is misspelt: `refuse` names it with the nearest that there is."""
    audit: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of answers that say `"audit": true`: drawn by chance, they are those to label; 0: none."""
    canary: CanaryConfig | None = None
    """Try each version that won on a share of the requests first; null: it becomes production at once."""
    shadow: ShadowAlias | None = None
    """Alias of the version that is asked for each live record once more, by a process of its own, before it
    answers anybody; null: none."""


class ChainLink(Frozen):
    """A model or a rule of the chain, asked when those before it could not answer."""

    name: Identifier
    """Name in answers (`source`) and on the health page."""
    alias: Literal["production", "previous", "original"] | None = None
    """A version of this use case."""
    use_case: Identifier | None = None
    """Production of another use case, which has the same fields."""
    challenger: Identifier | None = None
    """The version that the challenger of this name made last and that beat the one before it: it is made in
    each retrain for this link alone, and never becomes production."""
    keywords: dict[str, tuple[str, ...]] = {}
    """Label to words and phrases that indicate it."""
    taxonomy: bool = False
    """Take the keywords from the taxonomy."""
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least score with which its answer counts."""

    @field_validator("keywords")
    @classmethod
    def _labels_differ(cls, keywords: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if (label := twice(keywords)) is not None:
            raise ValueError(f"label '{label}' is there twice, in two forms of its letters")
        return keywords

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        versions = (self.alias, self.use_case, self.challenger)
        if sum(one is not None for one in versions) + bool(self.keywords) + self.taxonomy != 1:
            raise ValueError(
                f"link '{self.name}' needs exactly one of `alias`, `use_case`, `challenger`, `keywords`, "
                "`taxonomy`"
            )
        return self


class ChainConfig(Frozen):
    """The models and rules that are asked, in order, until one is confident enough."""

    links: Annotated[tuple[ChainLink, ...], Field(min_length=1)]
    """Asked in turn; the next one when one is missing, fails, or is not confident enough."""
    out_of_scope: str | None = "out_of_scope"
    """The label when no link is confident enough; null: the answer with the highest score."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [link.name for link in self.links]
        if len(set(names)) != len(names):
            raise ValueError(f"links repeat a name: {names}")
        return self
