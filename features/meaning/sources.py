"""Where the text model of a configuration comes from: the weights that a package carries, or a folder.

Of weights, the graph is written once and kept in the home.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from configs.pretrained.text_models import TEXT_MODELS, NamedModel, is_named, text_model_problem
from configs.settings import read_settings
from features.errors import TextModelDamaged, TextModelMissing
from features.meaning.embedder import GRAPH, TOKENIZER, OpenModel, digest_model, open_text_model
from features.meaning.graph import WRITER, Shape, write_graph
from features.meaning.safetensors import read_tensors

WEIGHTS = "model.safetensors"
DIGEST = "digest"
"""File beside those of a model that was written here: what they were."""


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
    if not _is_whole(folder):
        _write(named, model, folder)
    return open_text_model(folder)


def _is_whole(folder: Path) -> bool:
    """Whether a graph was written there, and neither file has changed since."""
    try:
        return (folder / DIGEST).read_text(encoding="utf-8") == digest_model(folder)
    except (OSError, UnicodeDecodeError, TextModelDamaged):
        return False


def _write(named: NamedModel, model: str, folder: Path) -> None:
    """Write both files of a named model into a folder: it appears whole; another process may be first."""
    source = _package_folder(named, model)
    for name, digest in ((WEIGHTS, named.weights), (TOKENIZER, named.tokenizer)):
        if _digest(source / name) != digest:
            raise TextModelDamaged(source / name, "is not the file that its authors published")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        made = Path(incoming) / "model"
        made.mkdir()
        write_graph(read_tensors(source / WEIGHTS), Shape(named.heads), made / GRAPH)
        shutil.copyfile(source / TOKENIZER, made / TOKENIZER)
        (made / DIGEST).write_text(digest_model(made), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(incoming) / "damaged")
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _package_folder(named: NamedModel, model: str) -> Path:
    spec = find_spec(named.package)
    if spec is None or spec.origin is None:
        raise TextModelMissing(
            f"'{model}' needs the package {named.package}, which is not installed; run: {named.install}"
        )
    return Path(spec.origin).parent / named.folder


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
