"""Records of texts beside numbers, categories and dates: the numbers, and each text as weighted terms."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.mixed.numbers import BesideNumbers, MixedNumbers, empty_rows
from features.encoders.text import TextEncoder
from features.records.contract import Columns


class MixedTermsEncoder(BesideNumbers):
    """Rows of shape (2, numbers + room): places, and what stands there.

    Numbers come first, at places -1, -2 and so on, which are the same in every row. Then the terms of each
    text field in turn, as `TextEncoder` gives them for one field, at places from 0 on: those of a field
    begin where those of the field before can end, at an even place, so that words and pairs keep even
    places, and parts of words odd ones. Together the terms of a row have length 1.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        self._encoders = [TextEncoder.from_state(learned) for learned in state["terms"]]
        self._places = -1 - np.arange(self._numbers.width, dtype=np.float32)
        vocabularies = [max(len(one["words"]), len(one["pieces"])) for one in state["terms"]]
        self._starts = [2 * sum(vocabularies[:count]) for count in range(len(vocabularies))]
        self._room = sum(encoder.input_shape[1] for encoder in self._encoders)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Places, and what stands there."""
        return (2, self._numbers.width + self._room)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The numbers, as for tables; then the terms of each text field as `<field>:<term>`."""
        fields = zip(self._numbers.texts, self._encoders, strict=True)
        terms = (f"{name}:{term}" for name, encoder in fields for term in encoder.feature_names)
        return (*self._numbers.names, *terms)

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:
        """Learn what tables learn, the newest date, and the terms of each text field."""
        texts = [field for field in record.fields if field.type == "text"]
        alone = [record.model_copy(update={"fields": (field,)}) for field in texts]
        return cls(
            {
                **MixedNumbers.learn(columns, record, options),
                "terms": [TextEncoder.fit(columns, one, options).to_state() for one in alone],
            }
        )

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Places and what stands there of n rows, shape (n, 2, numbers + room)."""
        encoded = empty_rows(columns, *self.input_shape)
        place = self._numbers.width
        encoded[:, 0, :place] = self._places
        self._numbers.encode_into(encoded[:, 1, :place], columns)
        for start, encoder in zip(self._starts, self._encoders, strict=True):
            terms = encoder.encode(columns)
            terms[:, 0] += np.float32(start) * (terms[:, 1] != 0)
            encoded[:, :, place : place + terms.shape[2]] = terms
            place += terms.shape[2]
        weights = encoded[:, 1, self._numbers.width :]
        # The terms of a field have length 1 where it has any.
        weights /= np.sqrt(np.maximum(1, self._filled_fields(weights)))[:, np.newaxis]
        return encoded

    def _filled_fields(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """How many text fields of each row have a known term; a field's terms fill its room from the left."""
        filled = np.zeros(len(weights), dtype=np.float32)
        place = 0
        for encoder in self._encoders:
            filled += weights[:, place] != 0
            place += encoder.input_shape[1]
        return filled
