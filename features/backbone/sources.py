"""Where the network of a configuration comes from: the weights that a package carries, or a folder.

Of weights, the graph is written once and kept in the home.
"""

from __future__ import annotations

import hashlib
import tempfile
from importlib.util import find_spec
from pathlib import Path

from configs.pretrained.picture_models import PICTURE_MODELS, NamedNetwork, picture_model_problem
from configs.pretrained.text_models import is_named
from configs.settings import read_settings
from features.backbone.efficientnet import WRITER, write_graph
from features.backbone.picture_model import GRAPH, OpenPictureModel, digest_model, open_picture_model
from features.backbone.torch_weights import read_tensors
from features.errors import PictureModelDamaged, PictureModelMissing

DIGEST = "digest"
"""File beside a graph that was written here: what it was."""


def find_picture_model(model: str, home: Path | None = None) -> OpenPictureModel:
    """The network that `features.image.backbone.model` names.

    Args:
        model: a name in `configs.pretrained.picture_models`, or a folder with `model.onnx`.
        home: where graphs are kept; None: `RATCHET_HOME`.

    Raises:
        PictureModelMissing: it is not installed; the message says what to install.
        PictureModelDamaged: its files are not what they should be.
    """
    if not is_named(model):
        return open_picture_model(Path(model))
    if (problem := picture_model_problem(model)) is not None:
        raise PictureModelMissing(problem)
    named = PICTURE_MODELS[model]
    folders = (home or read_settings().home) / "cache" / "picture_models"
    folder = folders / f"{model}-{WRITER}-{named.weights[:16]}"
    if not _is_whole(folder):
        _write(named, model, folder)
    return open_picture_model(folder)


def _is_whole(folder: Path) -> bool:
    """Whether a graph was written there, and has not changed since."""
    try:
        return (folder / DIGEST).read_text(encoding="utf-8") == digest_model(folder)
    except (OSError, UnicodeDecodeError, PictureModelDamaged):
        return False


def _write(named: NamedNetwork, model: str, folder: Path) -> None:
    """Write the graph of a named network into a folder: it appears whole; another process may be first."""
    source = _package_folder(named, model) / named.file
    if _digest(source) != named.weights:
        raise PictureModelDamaged(source, "is not the file that its authors published")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        made = Path(incoming) / "model"
        made.mkdir()
        write_graph(read_tensors(source), made / GRAPH)
        (made / DIGEST).write_text(digest_model(made), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(incoming) / "damaged")
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _package_folder(named: NamedNetwork, model: str) -> Path:
    spec = find_spec(named.package)
    if spec is None or spec.origin is None:
        raise PictureModelMissing(
            f"'{model}' needs the package {named.package}, which is not installed; run: {named.install}"
        )
    return Path(spec.origin).parent


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
