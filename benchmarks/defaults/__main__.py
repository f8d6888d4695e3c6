"""Ratchet's defaults beside plain scikit-learn: `python -m benchmarks.defaults`.

The twelve data sets that defaults are judged by, or with `--list development` those on which they were
chosen; both lists are printed. A use case is described by its fields and its target only, fitted, written,
and answers from its artifact. Beside it, on the same rows: for tables histogram gradient boosting and
logistic regression, for texts tf-idf with a linear support vector machine, for pictures support vector
machines on their pixels. Ends with an error where Ratchet is below the best of them by more than the interval
of their difference on any, or not above on the mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.defaults.comparison import Compared, Difference, compare
from benchmarks.defaults.data_sets import open_data_set
from benchmarks.defaults.lists import development, judged
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results"


def main() -> int:
    """Measure, print, keep; 1 where a plain model is better."""
    options = _options()
    console = Console(width=150)
    lists = {"judged": judged(), "development": development()}
    for title, names in lists.items():
        console.print(f"{title}: {', '.join(names)}")
    chosen = {
        name: kind for name, kind in lists[options.list].items() if not options.only or name in options.only
    }
    model = {"params": json.loads(options.params)} if options.params else {}
    if options.estimator:
        model["estimator"] = options.estimator
    compared: list[Compared] = []
    for name, kind in chosen.items():
        if options.kind and kind not in options.kind:
            continue
        try:
            data = open_data_set(name)
        except FileNotFoundError as error:
            console.print(f"{name}: left out, {error.filename or error} is not here")
            continue
        compared.append(compare(data, kind, options.splits, model))
        console.print(_line(compared[-1]))
    _show(console, compared)
    result = {
        "at": datetime.now(UTC).isoformat(),
        "cores": os.cpu_count(),
        "splits": options.splits,
        "lists": lists,
        "compared": [one.as_dict() for one in compared],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    part = "_".join([options.list, *options.kind])
    (RESULTS / f"defaults_{part}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    mean = float(np.mean([one.best_plain.mean for one in compared])) if compared else 0.0
    return int(mean <= 0 or any(one.best_plain.lost for one in compared))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", choices=("judged", "development"), default="judged")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="names of data sets")
    parser.add_argument("--kind", nargs="*", default=[], help="kinds of data sets")
    parser.add_argument("--estimator", help="instead of the default one")
    parser.add_argument("--params", help="parameters as JSON, instead of the defaults")
    return parser.parse_args()


def _line(one: Compared) -> str:
    plain = one.best_plain
    return f"{one.name}: {one.metric} {one.score:.4f}, {plain.plain} {plain.score:.4f}: {_shown(plain)}"


def _shown(plain: Difference) -> str:
    return f"{plain.mean:+.4f} [{plain.low:+.4f}, {plain.high:+.4f}]"


def _show(console: Console, compared: list[Compared]) -> None:
    table = Table(title="Ratchet by its defaults beside the best plain model")
    for head in (
        "data",
        "rows",
        "fields",
        "classes",
        "score",
        "ratchet",
        "plain",
        "",
        "difference",
        "s",
        "plain s",
    ):
        table.add_column(head, justify="left" if head in ("data", "score", "") else "right")
    for one in compared:
        plain = one.best_plain
        shown = _shown(plain)
        table.add_row(
            one.name,
            f"{one.rows:,}",
            str(one.fields),
            str(one.classes),
            one.metric,
            f"{one.score:.4f}",
            f"{plain.score:.4f}",
            plain.plain,
            f"[bold red]{shown}[/]" if plain.lost else shown,
            f"{one.seconds:.1f}",
            f"{plain.seconds:.1f}",
        )
    console.print(table)
    if compared:
        mean = np.mean([one.best_plain.mean for one in compared])
        console.print(f"mean difference {mean:+.4f}; lost: {sum(one.best_plain.lost for one in compared)}")


if __name__ == "__main__":
    sys.exit(main())
