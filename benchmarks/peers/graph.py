"""The ONNX graph that others serve, and the arrays that it takes of records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.hot_path.records import PICTURE, ROW, use_case_of

Getter = Callable[..., Callable[[Any], Any]]


def inputs_of(kind: str) -> dict[str, tuple[str, ...]]:
    """Name of each input of the graph -> the fields that it holds, in the order of its columns."""
    fields = use_case_of(kind).record.fields
    if kind != ROW:
        return {field.name: (field.name,) for field in fields}
    numbers = tuple(field.name for field in fields if field.type != "category")
    return {"numbers": numbers, "categories": tuple(f.name for f in fields if f.type == "category")}


class Graph:
    """A graph on one thread.

    Args:
        getter: reads fields of a record by name: `itemgetter` for dicts, `attrgetter` for objects.
    """

    def __init__(self, kind: str, path: Path, getter: Getter = itemgetter) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.classes = list(use_case_of(kind).target.classes or ())
        self.picture = kind == PICTURE
        names = [one.name for one in self.session.get_inputs()]
        self.readers = [
            # The getter of one field gives what it holds, of several a tuple: a row of the array.
            (name, getter(*fields), np.float32 if name == "numbers" else object, len(fields) > 1)
            for name, fields in zip(names, inputs_of(kind).values(), strict=True)
        ]
        self.outputs = [self.session.get_outputs()[-1].name]

    def scores(self, records: Sequence[Any]) -> Any:
        """Probabilities, shape (n, classes)."""
        if self.picture:
            name, read, _, _ = self.readers[0]
            images = np.array([read(record) for record in records], np.float32)
            return self.session.run(self.outputs, {name: images[..., np.newaxis] / 255})[0]
        feeds = {
            name: np.array([read(one) if many else (read(one),) for one in records], kind)
            for name, read, kind, many in self.readers
        }
        return self.session.run(self.outputs, feeds)[0]

    def answers(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        """Label and score of each class, of n records."""
        classes, scores = self.classes, self.scores(records)
        places = scores.argmax(axis=1).tolist()
        return [
            {"label": classes[place], "scores": dict(zip(classes, row, strict=True))}
            for place, row in zip(places, scores.tolist(), strict=True)
        ]
