"""Whether all servers answer the same: the labels of the version that Ratchet serves, before any is timed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np

from benchmarks.harness.servers import Peer
from benchmarks.hot_path.records import PICTURE
from models.versions.predictor import Predictor

ALONE = 16
"""So many records are asked for one by one too."""


def expected_labels(kind: str, artifact: Path, records: Sequence[Any]) -> list[str]:
    """What the version says, asked without a server."""
    predictor = Predictor.load(artifact)
    sent = [{"image": record} for record in records] if kind == PICTURE else list(records)
    return predictor.predict(predictor.contract.check_records(sent).all_or_raise()).labels


def ensure_right(
    peer: Peer, records: Sequence[Any], expected: Sequence[str], classes: Sequence[str], many: int
) -> None:
    """Ask for all records, `many` a request, and for the first ones alone.

    Raises:
        ValueError: the server answers otherwise than expected.
    """
    pieces = [slice(start, start + many) for start in range(0, len(records), many)]
    pieces += [slice(place, place + 1) for place in range(ALONE)]
    for piece in pieces:
        found = labels_of(ask(peer, records[piece]), classes)
        if found != list(expected[piece]):
            wrong = sum(one != other for one, other in zip(found, expected[piece], strict=False))
            told = f"{wrong} of {len(found)} labels differ, {len(expected[piece])} were asked for"
            raise ValueError(f"{peer.name} answers otherwise than Ratchet's version: {told}")


def ask(peer: Peer, records: Sequence[Any]) -> Any:
    """One answer."""
    headers = {"content-type": "application/json", **peer.headers}
    url = f"http://127.0.0.1:{peer.port}{peer.path}"
    with urlopen(Request(url, data=peer.body(records).encode(), headers=headers), timeout=30) as answer:
        return json.load(answer)


def labels_of(answer: Any, classes: Sequence[str]) -> list[str]:
    """The labels in an answer of any of the servers.

    Args:
        classes: in the order of the scores of servers that answer with a tensor.
    """
    if isinstance(answer, dict) and "outputs" in answer:
        scores = np.reshape(answer["outputs"][-1]["data"], (-1, len(classes)))
        return [classes[place] for place in scores.argmax(axis=1)]
    rows = answer["predictions"] if isinstance(answer, dict) else answer
    return [row if isinstance(row, str) else row["label"] for row in rows]
