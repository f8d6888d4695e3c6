"""Retrains without Prefect, on a real database and a real MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import psycopg

from configs.loading import load_use_case
from configs.run_options import RunOptions
from configs.schema import UseCase
from configs.settings import read_settings
from flows.context import LoopContext
from flows.retrain import steps
from flows.retrain.held_run import holding_run
from flows.retrain.production import find_production
from flows.retrain.sequence import Conduct, carry_out, prepare, summed_up
from flows.retrain.shadows import Evidence
from models.gate.decision import GateDecision
from models.production.registry import Registry
from models.production.rollback import roll_back
from models.versions.artifact import Manifest, file_digest
from store.ingest.files import ingest_file
from tests.databases import with_database
from tests.e2e.apples import write_apples

P = ParamSpec("P")
R = TypeVar("R")

CONFIG = """
name: {name}
title: Apples
kind: tabular
record:
  fields:
    - {{name: weight, type: number}}
    - {{name: colour, type: category, categories: [red, green]}}
target: {{task: multiclass, column: grade, classes: [good, poor]}}
model: {{estimator: catboost, params: {{iterations: 20}}}}
training: {{holdout: {{min_rows: 100}}, baseline: {baseline}}}
gate: {{metric: accuracy, min_rows: 50, resamples: 500}}
"""


@dataclass(frozen=True)
class Turn:
    """What a retrain came to."""

    outcome: str
    version: int
    decision: GateDecision
    evidence: Evidence
    """Of earlier retrains."""
    trained: Mapping[str, Manifest]
    """What challengers were made of."""


@dataclass
class Watched(Conduct):
    """The steps as they are, with a look at each before it is taken."""

    before: Callable[[str], None] = field(kw_only=True)

    def taking(self, step: Callable[P, R]) -> Callable[P, R]:
        def taken(*args: P.args, **kwargs: P.kwargs) -> R:
            self.before(step.__name__)
            return step(*args, **kwargs)

        return taken


def watch_nothing(_step: str) -> None:
    """Lets every step be."""


@dataclass(frozen=True)
class Orchard:
    """One use case in a home of its own."""

    context: LoopContext
    store: Path
    """Where MLflow keeps artifacts."""

    @property
    def name(self) -> str:
        return self.context.use_case.name

    @property
    def registry(self) -> Registry:
        return self.context.registry

    def elsewhere(self, home: Path) -> Orchard:
        """The same as a machine sees it that has fetched nothing yet."""
        home.mkdir()
        return replace(
            self, context=replace(self.context, settings=replace(self.context.settings, home=home))
        )

    def take_in(self, rows: int, *, edge: float, seed: int = 1, random_labels: bool = False) -> None:
        """Read a file of labelled rows."""
        path = self.context.settings.home / "rows.csv"
        write_apples(path, rows, edge=edge, seed=seed)
        if random_labels:
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            labels = np.random.default_rng(seed).choice(["good", "poor"], rows)
            lines = [f"{line.rpartition(',')[0]},{label}" for line, label in zip(lines, labels, strict=True)]
            path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        with self.context.connect() as conn:
            ingest_file(conn, self.context.use_case, path)

    def changed(self, **changes: Any) -> Orchard:
        """The same with another configuration."""
        use_case = UseCase.model_validate(self.context.use_case.model_dump() | changes)
        return replace(self, context=replace(self.context, use_case=use_case))

    def retrain(
        self,
        *,
        kind: str = "retrain",
        options: RunOptions | None = None,
        before: Callable[[str], None] = watch_nothing,
    ) -> Turn:
        """One turn of the loop.

        Args:
            before: told each of the steps before it is taken.
        """
        context = self.context
        with holding_run(
            context.database_url, self.name,
            trigger="person", run_id=None, flow_run_id=None, on_progress=lambda _said: None,
        ) as held:  # fmt: skip
            held.kind, held.options = kind, options or RunOptions()
            conduct = Watched(held, before=before)
            ground = prepare(context, conduct, "person")
            assert steps.not_enough(context, ground.production, ground.snapshot) is None
            made = carry_out(context, conduct, "person", ground)
            held.result.update(summed_up(context, conduct, ground, made).as_dict())
        manifests = {one.name: one.manifest for one in made.trained.values()}
        return Turn(
            made.outcome, made.version, made.judgement.decisions[made.challenger], made.evidence, manifests
        )

    def why_skipped(self) -> str | None:
        """Why a retrain would have nothing to do; None: it has something."""
        production = find_production(self.context)
        return steps.not_enough(self.context, production, steps.snapshot_rows(self.context, production))

    def roll_back(self, to: int | None = None) -> None:
        """Go back, as `ratchet rollback` does."""
        with self.context.connect() as conn:
            roll_back(
                conn, self.registry, self.name,
                to=to, actor="ann", reason="test", cache_dir=self.context.model_cache,
            )  # fmt: skip

    def kept(self, version: int) -> Path:
        """The copy of a version on this machine."""
        return self.context.model_cache / self.name / str(version)

    def stored(self, version: int) -> Path:
        """The folder in which MLflow keeps a version's artifact."""
        digest = self.stored_manifest_digest(version)
        found = [
            path.parent
            for path in self.store.rglob("data/ratchet/manifest.json")
            if file_digest(path) == digest
        ]
        assert len(found) == 1
        return found[0]

    def stored_manifest_digest(self, version: int) -> str:
        return file_digest(self.kept(version) / "manifest.json")


def open_orchard(
    name: str, home: Path, database_url: str, mlflow_uri: str, store: Path, baseline: str = "never"
) -> Orchard:
    """A use case of its own name, because all tests share one MLflow."""
    home.mkdir()
    configs = home / "configs"
    configs.mkdir()
    (configs / f"{name}.yaml").write_text(CONFIG.format(name=name, baseline=baseline), encoding="utf-8")
    settings = read_settings(
        {
            "RATCHET_HOME": str(home),
            "RATCHET_CONFIGS": str(configs),
            "RATCHET_USE_CASES": name,
            "RATCHET_DATABASE_URL": database_url,
            "MLFLOW_TRACKING_URI": mlflow_uri,
        }
    )
    use_case = load_use_case(configs / f"{name}.yaml")
    return Orchard(LoopContext(settings, use_case, database_url, Registry(mlflow_uri)), store)


@contextmanager
def replanted(grown: Orchard, postgres: str, folder: Path) -> Iterator[Orchard]:
    """A copy of its database and its home, for a test that deletes no version and makes none.

    What MLflow knows is shared; its aliases are as they were at the end.
    """
    name, context = f"test_{uuid4().hex[:12]}", grown.context
    registry: Any = grown.registry  # whose names of aliases are known to type checkers one by one
    aliases = registry.aliases(grown.name)
    grown_in = urlsplit(context.database_url).path.removeprefix("/")
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {grown_in}")
    home, url = folder / "home", with_database(postgres, name)
    shutil.copytree(context.settings.home, home)
    settings = replace(context.settings, home=home, database_url=url)
    try:
        yield replace(grown, context=replace(context, settings=settings, database_url=url))
    finally:
        for alias in registry.aliases(grown.name).keys() - aliases.keys():
            registry.delete_alias(grown.name, alias)
        for alias, version in aliases.items():
            registry.set_alias(grown.name, alias, version)
        with psycopg.connect(postgres, autocommit=True) as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def flip_byte(path: Path) -> None:
    """Damage a file in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.chmod(0o644)
    path.write_bytes(bytes(content))


def replace_consistently(folder: Path, other: Path) -> None:
    """Put another version's files in the place of a version's, manifest and probe with them."""
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
