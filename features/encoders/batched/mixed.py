"""What is learned of mixed records, by going through them: as of tables and texts, and the newest date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.batched.tabular import distances_within, learn_tabular, sample_of
from features.encoders.batched.text import learn_text
from features.encoders.column_statistics import bounds_around
from features.encoders.date_and_text_features import drop_sentinel_dates
from features.encoders.mixed.buckets import MixedEncoder
from features.encoders.mixed.numbers import EPOCH, MixedNumbers, dates_of, days_of
from features.encoders.mixed.terms import MixedTermsEncoder
from features.records.rows import RowSource
from features.statistics.order import SAMPLED, lower_rank, quantiles_of


def learn_mixed(rows: RowSource, record: RecordConfig, options: FeaturesConfig) -> MixedEncoder:
    """The encoder that `MixedEncoder.fit` makes of all rows at once."""
    return MixedEncoder(MixedEncoder.state_of(_learn_numbers(rows, record, options), options))


def learn_mixed_terms(rows: RowSource, record: RecordConfig, options: FeaturesConfig) -> MixedTermsEncoder:
    """The encoder that `MixedTermsEncoder.fit` makes of all rows at once."""
    texts = [field for field in record.fields if field.type == "text"]
    alone = [record.model_copy(update={"fields": (field,)}) for field in texts]
    terms = [learn_text(rows, one, options).to_state() for one in alone]
    return MixedTermsEncoder({**_learn_numbers(rows, record, options), "terms": terms})


def _learn_numbers(rows: RowSource, record: RecordConfig, options: FeaturesConfig) -> dict[str, Any]:
    tabular = learn_tabular(rows, record, options)
    return MixedNumbers.state_of(tabular, record, _newest(rows, dates_of(record)))


def _newest(rows: RowSource, names: list[str]) -> Any:
    """The newest of the dates that are plausible, all columns taken together; in three looks."""
    if not names:
        return EPOCH
    parts = []
    chosen, start = sample_of(len(rows), SAMPLED), 0
    for batch in rows:
        places = chosen[(chosen >= start) & (chosen < start + len(batch))] - start
        columns = drop_sentinel_dates({name: batch.columns[name][places] for name in names})
        parts.append(_known(days_of([columns[name] for name in names])))
        start += len(batch)
    sample = np.concatenate([*parts, np.array([])])

    def look() -> Iterator[list[NDArray[np.float64]]]:
        for batch in rows:
            columns = drop_sentinel_dates({name: batch.columns[name] for name in names})
            yield [_known(days_of([columns[name] for name in names]))]

    [found] = quantiles_of(look, [sample], [lambda count: [lower_rank(0.5)(count)]], [(0.5,)])
    if not found.values:
        return EPOCH
    half = found.values[0] / 2
    told = distances_within(
        lambda: (batch[0][:, np.newaxis] for batch in look()), {0: half}, sample[:, np.newaxis]
    )
    last = bounds_around(half, *told[0][:2])[1] if told else np.inf
    newest = EPOCH
    for batch in rows:
        columns = drop_sentinel_dates({name: batch.columns[name] for name in names})
        together = np.concatenate([columns[name] for name in names])
        believed = together[days_of([together]) <= last]
        if len(believed):
            newest = believed.max() if newest is EPOCH else max(newest, believed.max())
    return newest


def _known(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return numbers[~np.isnan(numbers)]
