"""What is learned of pictures, by going through them once."""

from __future__ import annotations

import numpy as np

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.backbone import BackboneEncoder
from features.encoders.image import ImageEncoder
from features.records.rows import RowSource
from features.statistics.moments import Moments


def learn_pixels(rows: RowSource, record: RecordConfig, options: FeaturesConfig) -> ImageEncoder:  # noqa: ARG001
    """The encoder of pixels, which learns nothing of rows."""
    return ImageEncoder.fit({}, record, options)


def learn_backbone(rows: RowSource, record: RecordConfig, options: FeaturesConfig) -> BackboneEncoder:
    """The encoder that `BackboneEncoder.fit` makes of all rows at once.

    Raises:
        FeatureError: the network is not installed, or is none.
    """
    opened, side = BackboneEncoder.find(record, options)
    moments = Moments(opened.model.places)
    for batch in rows:
        moments.add(opened.model.embed(batch.columns[record.fields[0].name], side).astype(np.float64))
    return BackboneEncoder.standardising(record, opened, side, moments.mean, moments.deviation)
