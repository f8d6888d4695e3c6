"""Where the text model of a configuration comes from: the weights that a package carries, or a folder.

Of weights, the graph is written once and kept in the home.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from configs.pretrained.text_models import TEXT_MODELS, NamedModel, is_named, text_model_problem
from configs.settings import read_settings
from features.errors import TextModelDamaged, TextModelMissing
from features.meaning.embedder import GRAPH, TOKENIZER, OpenModel, digest_model, open_text_model
from features.meaning.graph import WRITER, Shape, write_graph
from features.meaning.safetensors import read_tensors
from features.pretrained.written_graphs import ensure_written, has_digest, package_folder

WEIGHTS = "model.safetensors"


def find_text_model(model: str, home: Path | None = None) -> OpenModel:
    """The text model that `features.text.meaning.model` names.

    Args:
        model: a name in `configs.pretrained.text_models`, or a folder with `model.onnx` and `tokenizer.json`.
        home: where graphs are kept; None: `RATCHET_HOME`.

    Raises:
        TextModelMissing: it is not installed; the message says what to install.
        TextModelDamaged: its files are not what they should be.
    """
    if not is_named(model):
        return open_text_model(Path(model))
    if (problem := text_model_problem(model)) is not None:
        raise TextModelMissing(problem)
    named = TEXT_MODELS[model]
    folders = (home or read_settings().home) / "cache" / "text_models"
    folder = folders / f"{model}-{WRITER}-{named.weights[:16]}"
    ensure_written(folder, lambda made: _write(named, model, made), digest_model)
    return open_text_model(folder)


def _write(named: NamedModel, model: str, made: Path) -> None:
    """Write both files of a named model into a folder."""
    package = package_folder(named.package)
    if package is None:
        raise TextModelMissing(
            f"'{model}' needs the package {named.package}, which is not installed; run: {named.install}"
        )
    source = package / named.folder
    for name, digest in ((WEIGHTS, named.weights), (TOKENIZER, named.tokenizer)):
        if not has_digest(source / name, digest):
            raise TextModelDamaged(source / name, "is not the file that its authors published")
    write_graph(read_tensors(source / WEIGHTS), Shape(named.heads), made / GRAPH)
    shutil.copyfile(source / TOKENIZER, made / TOKENIZER)
