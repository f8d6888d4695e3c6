"""The taxonomy of a use case: for each label, its keywords and recommendations.

    comfort_food:
      keywords: [comfort food, something cosy]
      recommendations:
        - {title: Macaroni and cheese}
        - Tomato soup

A recommendation is a text or a mapping with at least a `title`. All may stand below one key `labels`, beside
one other key for what labels have in common.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, field_validator

from configs.errors import ConfigError
from configs.spelling.letters import compose, twice
from configs.yaml_files import read_yaml

LABELS_KEY = "labels"


class TaxonomyEntry(BaseModel):
    """One label."""

    model_config = ConfigDict(frozen=True, extra="allow")

    keywords: tuple[str, ...] = ()
    """Words and phrases that indicate the label, in upper or lower case."""
    recommendations: tuple[dict[str, Any], ...] = Field(default=())
    """What to recommend, the best first; each has a `title`."""

    @field_validator("recommendations", mode="before")
    @classmethod
    def _texts_are_titles(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        items = [{"title": item} if isinstance(item, str) else item for item in value]
        for item in items:
            if not isinstance(item, dict) or not isinstance(item.get("title"), str):
                raise ValueError(f"got {item!r:.60}; allowed: a text, or a mapping with a `title`")
        return items


class Taxonomy(RootModel[dict[str, TaxonomyEntry]]):
    """Label to entry; a label is found in whichever form its letters are written."""

    model_config = ConfigDict(frozen=True)

    @field_validator("root")
    @classmethod
    def _letters_are_composed(cls, root: dict[str, TaxonomyEntry]) -> dict[str, TaxonomyEntry]:
        if (label := twice(root)) is not None:
            raise ValueError(f"label '{label}' is there twice, in two forms of its letters")
        return {compose(label): entry for label, entry in root.items()}

    def __contains__(self, label: str) -> bool:
        return compose(label) in self.root

    def recommend(self, label: str) -> list[dict[str, Any]]:
        """What to recommend for a label; nothing where the taxonomy does not know it."""
        entry = self.root.get(compose(label))
        return [] if entry is None else list(entry.recommendations)

    @property
    def keywords(self) -> dict[str, tuple[str, ...]]:
        """Label to keywords, for those that have any."""
        return {label: entry.keywords for label, entry in self.root.items() if entry.keywords}


def read_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy.

    Raises:
        ConfigError: naming the file, the place in it, and what is allowed.
    """
    try:
        raw = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; `taxonomy` must name one") from error
    if isinstance(raw, dict) and isinstance(raw.get(LABELS_KEY), dict) and len(raw) <= 2:
        raw = raw[LABELS_KEY]
    try:
        return Taxonomy.model_validate(raw)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])[:80] or "(whole file)"
        raise ConfigError(f"{path}: {place}: {problem['msg'].removeprefix('Value error, ')}") from error
