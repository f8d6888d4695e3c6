"""What is in the bucket, and what is in no home because it is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.together.installation import BUCKET, PREFIX, Installation


@dataclass(frozen=True)
class Kept:
    """Objects below the prefix."""

    names: tuple[str, ...]
    sizes: dict[str, int]
    """Bytes by the first folder."""

    def of(self, folder: str) -> list[str]:
        """Names in a first folder."""
        return [name for name in self.names if name.startswith(f"{PREFIX}/{folder}/")]

    def models(self, ids: Iterable[str]) -> int:
        """How many of these models of MLflow's have their manifest here."""
        return sum(
            any(f"/{one}/" in name and name.endswith("/manifest.json") for name in self.of("mlflow"))
            for one in ids
        )

    @property
    def history(self) -> tuple[int, int]:
        """Commits and data files of the history's table."""
        names = self.of("history")
        commits = sum("/_delta_log/" in name and name.endswith(".json") for name in names)
        return commits, sum(name.endswith(".parquet") and "/_delta_log/" not in name for name in names)


def read_bucket(here: Installation) -> Kept:
    """All of it, by the protocol itself."""
    pages = here.s3.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    found = [one for page in pages for one in page.get("Contents", ())]
    sizes: Counter[str] = Counter()
    for one in found:
        sizes[one["Key"].split("/")[1]] += one["Size"]
    return Kept(tuple(one["Key"] for one in found), dict(sizes))


def kept_in_homes(here: Installation) -> list[str]:
    """Folders of homes that should be in the bucket alone."""
    return [
        str(folder.relative_to(here.folder))
        for name in ("mlflow", "history", "snapshots")
        for folder in (here.folder / "homes").glob(f"*/{name}")
        if any(folder.rglob("*"))
    ]
