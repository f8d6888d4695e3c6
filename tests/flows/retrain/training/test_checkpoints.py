"""A training that ended early goes on where it left off, and its checkpoint can be evaluated."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.loading import load_use_case
from configs.run_options import RunOptions
from configs.schema import ChallengerConfig, TrainingConfig, UseCase
from configs.settings import Settings, read_settings
from features.errors import SourceError
from flows.batch.evaluate import evaluate
from flows.retrain.held_run import HeldRun
from flows.retrain.training.challenger import RunInputs, Trained, train_challenger
from flows.retrain.training.checkpoints import (
    checkpoint_folder,
    clear_checkpoints,
    discarding_if_stopped,
    noted_snapshot,
)
from flows.retrain.training.plan import planned_challengers
from models.errors import TrainingStopped
from models.versions.artifact import Lineage
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.uses import HOLDOUT, TRAIN

CONFIG = """
name: moods
title: Moods
kind: text
record: {fields: [{name: text, type: text}]}
target: {task: multiclass, classes: [glad, sad]}
model: {estimator: linear_text, params: {epochs: 6}}
"""
FULL = ChallengerConfig(name="full")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "moods.yaml").write_text(CONFIG, encoding="utf-8")
    return read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_CONFIGS": str(tmp_path / "configs"),
            "RATCHET_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        }
    )


@pytest.fixture
def use_case(settings: Settings) -> UseCase:
    return load_use_case(settings.config_dirs[-1] / "moods.yaml")


def frame(classes: Sequence[str] = ("glad", "sad"), rows: int = 80) -> Frame:
    glad, sad = classes
    words = {glad: ["sun", "song", "cake"], sad: ["rain", "loss", "grey"]}
    random = np.random.default_rng(1)
    labels = np.array([glad, sad] * (rows // 2), dtype=object)
    texts = np.array([" ".join(random.choice(words[label], 2)) for label in labels], dtype=object)
    split = np.where(np.arange(rows) % 4 == 0, HOLDOUT, TRAIN).astype(object)
    times = np.zeros(rows, dtype="datetime64[us]")
    return Frame(
        {"text": texts},
        labels,
        np.array([f"row-{row}" for row in range(rows)], dtype=object),
        np.arange(rows),
        times,
        split,
    )


def train(
    use_case: UseCase,
    folder: Path | None,
    workdir: Path,
    *,
    stop_after: int = 100,
    challenger: ChallengerConfig = FULL,
) -> Trained:
    def follow(said: Mapping[str, Any]) -> None:
        if said.get("epoch", 0) >= stop_after and "epochs" in said:
            held.stop.set()

    held = HeldRun("run", 1, "", follow)
    rows, lineage = SplitRows.of(frame(use_case.target.classes)), Lineage(snapshot_digest="abc")
    inputs = RunInputs(use_case, rows, NOTHING_LEARNED, lineage, None, workdir)
    return train_challenger(challenger, inputs, held, checkpoint_dir=folder)


def test_a_stopped_training_goes_on_after_its_last_whole_epoch(use_case: UseCase, tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path, use_case, FULL)
    assert folder is not None
    assert folder == tmp_path / "checkpoints" / "moods" / "full"
    with pytest.raises(TrainingStopped), discarding_if_stopped(tmp_path, use_case):
        train(use_case, folder, tmp_path / "a", stop_after=3)
    assert noted_snapshot(folder) == "abc"
    resumed = train(use_case, folder, tmp_path / "b")
    assert [epoch for epoch, _ in resumed.curve] == [4, 5, 6]
    clear_checkpoints(tmp_path, "moods")
    assert not folder.exists()
    anew = train(use_case, folder, tmp_path / "c")
    assert [epoch for epoch, _ in anew.curve] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(
        resumed.predictor.predict(frame().columns).probabilities,
        anew.predictor.predict(frame().columns).probabilities,
    )


def test_a_stop_discards_the_checkpoint_where_the_configuration_says_so(
    use_case: UseCase, tmp_path: Path
) -> None:
    forgetful = use_case.model_copy(update={"training": TrainingConfig(on_stop="discard")})
    folder = checkpoint_folder(tmp_path, forgetful, FULL)
    assert folder is not None
    with pytest.raises(TrainingStopped), discarding_if_stopped(tmp_path, forgetful):
        train(forgetful, folder, tmp_path / "a", stop_after=3)
    assert not folder.exists()


def test_warm_starts_and_those_told_not_to_keep_no_checkpoint(use_case: UseCase, tmp_path: Path) -> None:
    warm = ChallengerConfig(name="warm", fit="warm")
    without = use_case.model_copy(update={"training": TrainingConfig(checkpoints=False)})
    assert checkpoint_folder(tmp_path, use_case, warm) is None
    assert checkpoint_folder(tmp_path, without, FULL) is None


def test_a_checkpoint_is_evaluated_with_scores_and_predictions(
    settings: Settings, use_case: UseCase, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    with pytest.raises(TrainingStopped):
        train(use_case, folder, tmp_path / "a", stop_after=2)
    data = tmp_path / "moods.csv"
    data.write_text("text,label\nsun song,glad\nrain loss,sad\nrain grey,sad\ncake,tired\n", encoding="utf-8")
    found = evaluate(settings, "moods", checkpoint=folder, data=data, output_dir=tmp_path / "out")
    assert (found.version, found.epoch, found.rows, found.refused_rows) == (None, 2, 3, 1)
    assert found.metrics["accuracy"] == 1.0
    assert found.confusion == [[1, 0], [0, 2]]
    assert found.class_scores["sad"]["support"] == 2
    scores = json.loads((tmp_path / "out" / "scores.json").read_text("utf-8"))
    assert scores["metrics"] == found.metrics
    lines = (tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()
    rows = list(csv.DictReader(lines))
    assert [(row["row"], row["label"], row["answer"]) for row in rows] == [
        ("1", "glad", "glad"),
        ("2", "sad", "sad"),
        ("3", "sad", "sad"),
    ]
    assert 0.5 < float(rows[0]["score"]) <= 1
    some = evaluate(settings, "moods", checkpoint=folder, data=data, sample_count=2)
    assert some.rows == 2
    for rest, told in (("", "by$"), ("cake,tired\n", "by; 1 could not be used$")):
        data.write_text(f"text,label\n{rest}", encoding="utf-8")
        with pytest.raises(SourceError, match=f"moods.csv: it has no labelled rows to judge {told}"):
            evaluate(settings, "moods", checkpoint=folder, data=data, output_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("configured", "column", "written"),
    [
        ("number", "number", "number"),
        (None, "id", "id"),
        ("row", "row", "record_row"),
        (None, "number", None),
    ],
)
def test_the_predictions_of_an_evaluation_have_the_ids_of_the_file(
    configured: str | None, column: str, written: str | None, settings: Settings, tmp_path: Path
) -> None:
    path = settings.config_dirs[-1] / "moods.yaml"
    if configured is not None:
        path.write_text(CONFIG.replace("record: {", f"record: {{id_column: {configured}, "), encoding="utf-8")
    train(load_use_case(path), tmp_path / "kept", tmp_path / "a")
    data = tmp_path / "moods.csv"
    lines = [
        f"text,label,{column}",
        "sun song,glad,=1+1",
        "cake,tired,007",
        "rain loss,sad,12",
        "grey,sad,x y",
    ]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    evaluate(settings, "moods", checkpoint=tmp_path / "kept", data=data, output_dir=tmp_path / "out")
    rows = list(csv.reader((tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()))
    if written is None:
        assert rows[0] == ["row", "label", "answer", "score"]
        return
    assert rows[0] == ["row", written, "label", "answer", "score"]
    assert [row[:3] for row in rows[1:]] == [["1", "'=1+1", "glad"], ["2", "12", "sad"], ["3", "x y", "sad"]]
    evaluate(
        settings,
        "moods",
        checkpoint=tmp_path / "kept",
        data=data,
        output_dir=tmp_path / "out",
        sample_count=2,
    )
    some = list(csv.reader((tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()))
    told = {row[1]: row[2] for row in rows[1:]}
    assert all(told[row[1]] == row[2] for row in some[1:])


def test_classes_are_no_formulas_in_the_predictions_of_an_evaluation(
    settings: Settings, tmp_path: Path
) -> None:
    path = settings.config_dirs[-1] / "moods.yaml"
    path.write_text(CONFIG.replace("[glad, sad]", '["=glad", sad]'), encoding="utf-8")
    train(load_use_case(path), tmp_path / "kept", tmp_path / "a")
    data = tmp_path / "moods.csv"
    data.write_text("text,label\nsun song,=glad\n", encoding="utf-8")
    evaluate(settings, "moods", checkpoint=tmp_path / "kept", data=data, output_dir=tmp_path / "out")
    lines = (tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()
    assert lines[1].startswith("1,'=glad,'=glad,")


def test_a_checkpoint_that_does_not_say_what_was_held_out_needs_a_file(
    settings: Settings, use_case: UseCase, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    train(use_case, folder, tmp_path / "a")
    (folder / "snapshot").unlink()
    with pytest.raises(SourceError, match="--data"):
        evaluate(settings, "moods", checkpoint=folder)


def test_a_checkpoint_of_more_epochs_than_are_asked_for_is_not_taken_up(
    use_case: UseCase, tmp_path: Path
) -> None:
    folder = checkpoint_folder(tmp_path, use_case, FULL)
    with pytest.raises(TrainingStopped):
        train(use_case, folder, tmp_path / "a", stop_after=5)
    asked = planned_challengers(use_case, "retrain", RunOptions(epochs=2), production=None)
    made = train(use_case, folder, tmp_path / "b", challenger=asked[0])
    assert [epoch for epoch, _ in made.curve] == [1, 2]


@pytest.mark.parametrize(
    ("identities", "header"),
    [(["i:007", "h:ab", "i:p:1"], ["row", "id", "label", "answer", "score"]),
     (["h:ab", "p:1", "h:cd"], ["row", "label", "answer", "score"])],
)  # fmt: skip
def test_held_out_rows_have_the_ids_that_they_came_with(
    identities: list[str],
    header: list[str],
    settings: Settings,
    use_case: UseCase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "kept"
    train(use_case, folder, tmp_path / "a")
    texts = np.array(["sun song", "rain", "grey"], dtype=object)
    labels = np.array(["glad", "sad", "sad"], dtype=object)
    held = SimpleNamespace(columns={"text": texts}, labels=labels, identities=np.array(identities, object))
    monkeypatch.setattr("flows.batch.evaluate.open_snapshot", lambda *_args, **_named: held)
    monkeypatch.setattr("flows.context.LoopContext.connect", lambda _self: nullcontext())
    evaluate(settings, "moods", checkpoint=folder, output_dir=tmp_path / "out")
    rows = list(csv.reader((tmp_path / "out" / "predictions.csv").read_text("utf-8").splitlines()))
    assert rows[0] == header
    assert "id" not in header or [row[1] for row in rows[1:]] == ["007", "", "p:1"]
