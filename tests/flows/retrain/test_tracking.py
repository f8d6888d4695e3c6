"""Pictures for MLflow: names of classes are texts in them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from flows.retrain.tracking import draw_confusion


@pytest.mark.parametrize("name", ["$\\frac$", "5$ to 10$", "\\$x$_{", "a\nb\x1b[2J"])
def test_what_stands_between_dollars_is_no_formula(name: str) -> None:
    figure = draw_confusion(np.eye(2, dtype=np.int64), [name, "b"], "full: judged rows")
    figure.savefig(io.BytesIO())
    shown = figure.axes[0].get_xticklabels()[0].get_text().replace("\\$", "$")
    assert shown == name.replace("\n", "\\n").replace("\x1b", "\\x1b")
