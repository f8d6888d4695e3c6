"""Where the network of a configuration comes from: the weights that a package carries, or a folder.

Of weights, the graph is written once and kept in the home.
"""

from __future__ import annotations

from pathlib import Path

from configs.pretrained.picture_models import PICTURE_MODELS, NamedNetwork, picture_model_problem
from configs.pretrained.text_models import is_named
from configs.settings import read_settings
from features.backbone.efficientnet import WRITER, write_graph
from features.backbone.picture_model import GRAPH, OpenPictureModel, digest_model, open_picture_model
from features.backbone.torch_weights import read_tensors
from features.errors import PictureModelDamaged, PictureModelMissing
from features.pretrained.written_graphs import ensure_written, has_digest, package_folder


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
    ensure_written(folder, lambda made: _write(named, model, made), digest_model)
    return open_picture_model(folder)


def _write(named: NamedNetwork, model: str, made: Path) -> None:
    """Write the graph of a named network into a folder."""
    package = package_folder(named.package)
    if package is None:
        raise PictureModelMissing(
            f"'{model}' needs the package {named.package}, which is not installed; run: {named.install}"
        )
    source = package / named.file
    if not has_digest(source, named.weights):
        raise PictureModelDamaged(source, "is not the file that its authors published")
    write_graph(read_tensors(source), made / GRAPH)
