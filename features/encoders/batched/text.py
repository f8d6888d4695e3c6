"""What is learned of texts, by going through them twice; the texts themselves are not kept."""

from __future__ import annotations

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.text import DocumentCounts, TextEncoder, join_texts
from features.records.rows import RowSource
from features.statistics.counts import MOST_VALUES


def learn_text(
    rows: RowSource, record: RecordConfig, options: FeaturesConfig, *, most: int = MOST_VALUES
) -> TextEncoder:
    """The encoder that `TextEncoder.fit` makes of all rows at once.

    Args:
        most: different words and pairs, and as many parts of words, that are counted at once; of more, rare
            ones are forgotten meanwhile, and those known may be others among the rarest.
    """
    counts = DocumentCounts(options.text, most=most)
    for batch in rows:
        counts.add(join_texts(batch.columns, [field.name for field in record.fields]))
    made = TextEncoder.of_counts(counts, record, options.text)
    return made.with_room(max((made.most_terms(batch.columns) for batch in rows), default=0))
