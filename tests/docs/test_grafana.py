"""The dashboard and the alerts ask for metrics and labels that the service has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from tests.docs.pages import read

METRIC = re.compile(r"\b(ratchet_[a-z_]+)(?:\{([^}]*)\})?")
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def described() -> dict[str, frozenset[str]]:
    """Each series that /metrics shows, and its labels."""
    groups = vars(Metrics(CollectorRegistry())).values()
    series = {}
    for metric in (metric for group in groups for metric in vars(group).values()):
        labels = frozenset(metric._labelnames) | ({"le"} if metric._type == "histogram" else set())
        for ending in ENDINGS[metric._type]:
            series[metric._name + ending] = labels
    return series


def walk(content: Any) -> Iterator[str]:
    """Every expression in a dashboard or a file of rules."""
    if isinstance(content, dict):
        yield from (content[key] for key in ("expr", "definition") if key in content)
    for part in (
        content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    ):
        yield from walk(part)


def expressions(name: str) -> list[str]:
    text = read(f"docs/grafana/{name}")
    return list(walk(json.loads(text) if name.endswith(".json") else yaml.safe_load(text)))


@pytest.mark.parametrize("name", ["ratchet.json", "alerts.yaml"])
def test_each_metric_and_label_is_there(name: str) -> None:
    known = described()
    asked = [found for expression in expressions(name) for found in METRIC.findall(expression)]
    assert len(asked) >= 10
    assert sorted({metric for metric, _ in asked} - known.keys()) == []
    for metric, selector in asked:
        labels = set(re.findall(r"(\w+)\s*=~?", selector))
        assert labels <= known[metric], metric


def test_each_metric_is_on_the_dashboard() -> None:
    asked = " ".join(expressions("ratchet.json"))
    families = {re.sub("_(total|bucket|sum|count)$", "", name) for name in described()}
    left_out = {family for family in families if not re.search(rf"\b{family}(_\w+)?\b", asked)}
    assert left_out == {"ratchet_drift_found", "ratchet_drift_check_age_seconds"}


def test_grouping_names_labels_that_are_there() -> None:
    known = set().union(*described().values())
    for name in ("ratchet.json", "alerts.yaml"):
        for expression in expressions(name):
            for group in re.findall(r"\bby \(([^)]*)\)", expression):
                assert {label.strip() for label in group.split(",")} <= known, expression


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(read("docs/grafana/ratchet.json"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
