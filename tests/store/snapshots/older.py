"""Snapshots as earlier releases took them: a file of all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from configs.schema import UseCase
from features.records.contract import RecordContract
from store.feedback.rows import read_feedback
from store.history.draws import read_draw
from store.snapshots.files import content_digest, snapshot_file, write_snapshot
from store.snapshots.index import Snapshot, find_snapshot, pack_contents
from store.snapshots.learned import NOTHING_LEARNED, Learned
from store.snapshots.reach import Reach
from store.snapshots.uses import HOLDOUT, TRAIN
from store.splits.records import same_records
from store.splits.splits import split_rows


def take_older(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    *,
    since: Reach | None = None,
    learned: Learned = NOTHING_LEARNED,
) -> Snapshot:
    rows = read_feedback(conn, use_case.name, RecordContract(use_case.record))
    split = split_rows(
        use_case.training.holdout,
        same_records(rows, {field.type for field in use_case.record.fields}, learned),
        seq=rows.seq,
        shares=read_draw(conn).shares(rows),
        is_new=np.ones(len(rows), dtype=np.bool_) if since is None else since.is_beyond(rows.seq),
    )
    digest = content_digest(rows, split)
    path = snapshot_file(home, use_case.name, digest)
    if not path.exists():
        write_snapshot(path, use_case.record.fields, rows, split)
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq,"
        " contents) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING",
        (
            digest,
            use_case.name,
            str(path),
            len(rows),
            int((split == TRAIN).sum()),
            int((split == HOLDOUT).sum()),
            int(rows.seq.min(initial=0)),
            int(rows.seq.max(initial=0)),
            pack_contents(rows.seq, split),
        ),
    )
    conn.commit()
    return find_snapshot(conn, digest)
