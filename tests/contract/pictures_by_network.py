"""A use case that knows pictures by what a network of chance sees in them."""

from __future__ import annotations

from pathlib import Path

from configs.schema import UseCase
from configs.schema.features import BackboneFeatures, ImageFeatures
from tests.features.backbone.tiny import write_network

BY_NETWORK = UseCase.model_validate(
    {
        "name": "by_network",
        "title": "Pictures by what a network of chance sees in them",
        "kind": "image",
        "record": {"fields": [{"name": "photo", "type": "image", "shape": [12, 16, 3], "resize": "crop"}]},
        "target": {"task": "multiclass", "classes": ["a", "b", "c"]},
        "model": {"estimator": "logistic"},
    }
)


def with_tiny_network(use_case: UseCase, folder: Path) -> UseCase:
    """The use case, where it is this one, with a network that is there."""
    if use_case.name != BY_NETWORK.name:
        return use_case
    image = ImageFeatures(backbone=BackboneFeatures(model=str(write_network(folder)), side=32))
    return use_case.model_copy(update={"features": use_case.features.model_copy(update={"image": image})})
