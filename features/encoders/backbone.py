"""The encoder of pictures by a network that others have trained: vectors, standardised by training rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.backbone.picture_model import OpenPictureModel, copy_model, open_picture_model
from features.backbone.sources import find_picture_model
from features.encoders.image import ImageEncoder
from features.errors import PictureModelMissing
from features.records.contract import Columns

BACKBONE = "backbone"
"""Folder of the network, in a version."""
LEAST_SIDE = 96
"""Pixels of the longer side that a network sees where nothing is said; smaller pictures are enlarged."""


@dataclass(frozen=True)
class BackboneEncoder(ImageEncoder):
    """What a network sees in pictures: one number for each thing that it knows, mean 0 and deviation 1.

    Drift checks describe the pictures themselves, as they do without a network.
    """

    learned: dict[str, Any]
    """`digest` of the network, `side`, and `mean` and `deviation` of each number in the training rows."""
    opened: OpenPictureModel

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Look at the training rows.

        Raises:
            FeatureError: the network is not installed, or is none.
        """
        opened, side = cls.find(record, options)
        vectors = opened.model.embed(columns[record.fields[0].name], side).astype(np.float64)
        return cls.standardising(record, opened, side, vectors.mean(axis=0), vectors.std(axis=0))

    @staticmethod
    def find(record: RecordConfig, options: FeaturesConfig) -> tuple[OpenPictureModel, int]:
        """The network, and pixels of the longer side that it sees.

        Raises:
            FeatureError: it is not installed, or is none.
        """
        backbone, field = options.image.backbone, record.fields[0]
        assert backbone is not None
        assert field.shape is not None
        opened = find_picture_model(backbone.model)
        return opened, backbone.side or max(LEAST_SIDE, *field.shape[:2])

    @classmethod
    def standardising(
        cls,
        record: RecordConfig,
        opened: OpenPictureModel,
        side: int,
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
    ) -> Self:
        """The encoder by mean and deviation of each number in the training rows."""
        field = record.fields[0]
        assert field.shape is not None
        learned = {
            "digest": opened.model.digest,
            "side": side,
            "mean": mean.astype(np.float32).tolist(),
            # A number that is the same in all training rows tells nothing, and is left as it is.
            "deviation": np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32).tolist(),
        }
        return cls(field.name, field.shape, learned, opened)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Numbers of a vector."""
        return (self.opened.model.places,)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`<field>:1` and on."""
        return tuple(f"{self.field}:{place}" for place in range(1, self.opened.model.places + 1))

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Vectors of n pictures, shape (n, places)."""
        vectors = self.opened.model.embed(columns[self.field], self.learned["side"])
        mean, deviation = (np.array(self.learned[part], np.float32) for part in ("mean", "deviation"))
        return (vectors - mean) / deviation

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as JSON values."""
        return {**super().to_state(), "backbone": self.learned}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:  # noqa: ARG003
        """Not without the network.

        Raises:
            PictureModelMissing: always.
        """
        raise PictureModelMissing("its files are not beside what the encoder has learned")

    def write_files(self, directory: Path) -> None:
        """Put the network into a folder."""
        copy_model(self.opened, directory / BACKBONE)

    @classmethod
    def from_files(cls, state: dict[str, Any], directory: Path) -> Self:
        """The inverse of `to_state` and `write_files`.

        Raises:
            PictureModelDamaged: the files are not there, or not those that it has learned with.
        """
        learned = state["backbone"]
        opened = open_picture_model(directory / BACKBONE, learned["digest"])
        return cls(state["field"], tuple(state["shape"]), learned, opened)
