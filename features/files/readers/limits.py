"""What a file may ask of this machine: each limit is here, with its reason, and is named where it refuses.

Together they hold a reader below a gigabyte, whatever the file, and at seconds for each megabyte.
"""

from __future__ import annotations

MB = 1 << 20

ROW_BYTES = 16 * MB
"""Of one line of CSV or JSON. A 1,000 x 1,000 image in text has 4 MB; memory holds a line some ten times."""
QUOTED_BYTES = 4 * MB
"""Of a CSV row whose quotes hold line ends: the longest text of a field (1,000,000 characters) in UTF-8."""
WINDOW_BYTES = 4 * MB
"""Of CSV that is read row by row into one batch: two million cells of Python text at most."""
COLUMNS = 20_000
"""Of a file. An image of 128 x 128 with a column a pixel has 16,384."""
HEADER_LINES = 100
"""Blank or within quotes, before there is a header."""
BATCH_CELLS = 4_000_000
"""Of JSON rows that each name other keys: rows times keys."""
UNPACKED_FREE = 16 * MB
UNPACKED_RATIO = 100
"""Times the size of a gzipped file that unpacks to more than `UNPACKED_FREE`. Labelled rows reach 5 to 30."""
PARQUET_FREE = 64 * MB
PARQUET_RATIO = 20
"""Times the size of a packed column of Parquet, where it unpacks to more than `PARQUET_FREE`."""
PARQUET_FOOTER = 16 * MB
"""Of the description of columns and row groups, which is in memory ten times over."""
PARQUET_ROWS_FREE = 1_000_000
PARQUET_ROWS_RATIO = 4
"""Rows for each byte of a Parquet file with more than `PARQUET_ROWS_FREE`: a row then takes two bits."""
LIST_VALUES = 64 * MB
"""Of lists in one row group of Parquet: one row may hold them all, and they are decoded together."""
WRITTEN_FREE = 256 * MB
WRITTEN_RATIO = 100
"""Times the size of a Parquet file whose texts, written out from dictionaries, exceed `WRITTEN_FREE`."""
SLICE_BYTES = 32 * MB
"""Of a batch of Parquet, once texts that stand in a dictionary are written out."""
LEVELS_BYTES = 64 * MB
"""Of the images of one batch once they are decoded: small files may hold any size of them."""
