"""Collected requests are written down as if each had been written down by itself."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.samples import Sample

from service import metrics
from service.metrics import SECONDS, BulkHistogram, Metrics


@given(st.lists(st.floats(0, 20) | st.sampled_from(SECONDS), max_size=50))
def test_many_values_count_as_each_would(values: list[float]) -> None:
    one_by_one, at_once = CollectorRegistry(), CollectorRegistry()
    plain = Histogram("took", "Seconds.", buckets=SECONDS, registry=one_by_one)
    for value in values:
        plain.observe(value)
    BulkHistogram("took", "Seconds.", buckets=SECONDS, registry=at_once).observe_all(values)
    wanted = {(one.name, one.labels.get("le")): one.value for one in samples(one_by_one)}
    found = {(one.name, one.labels.get("le")): one.value for one in samples(at_once)}
    assert abs(found.pop(("took_sum", None)) - wanted.pop(("took_sum", None))) < 1e-9
    assert found == wanted


def samples(registry: CollectorRegistry) -> list[Sample]:
    """What a scrape shows, without the time of creation."""
    return [
        one for family in registry.collect() for one in family.samples if not one.name.endswith("_created")
    ]


def test_requests_show_within_the_promised_time() -> None:
    registry = CollectorRegistry()
    observe = Metrics(registry).answers.observer("any", "predict")

    async def requests() -> None:
        for status in (200, 200, 422):
            observe(status, 0.004)
        await asyncio.sleep(metrics.WRITE_SECONDS * 1.5)
        observe(200, 0.004)
        await asyncio.sleep(metrics.WRITE_SECONDS * 1.5)

    asyncio.run(requests())
    labels = {"use_case": "any", "route": "predict"}
    assert registry.get_sample_value("ratchet_requests_total", {**labels, "status": "200"}) == 3
    assert registry.get_sample_value("ratchet_requests_total", {**labels, "status": "422"}) == 1
    assert registry.get_sample_value("ratchet_request_seconds_count", labels) == 4
    assert registry.get_sample_value("ratchet_request_seconds_bucket", {**labels, "le": "0.003"}) == 0
    assert registry.get_sample_value("ratchet_request_seconds_bucket", {**labels, "le": "0.005"}) == 4


def test_no_batch_is_lost_whatever_thread_it_ran_in() -> None:
    registry = CollectorRegistry()
    rows = Metrics(registry).answers.batch_rows.labels("any")

    async def batches() -> None:
        loop = asyncio.get_running_loop()
        noted = metrics.BatchLog(loop, rows)

        def note() -> None:
            for _ in range(10_000):
                noted.observe(3)

        noting = [loop.run_in_executor(None, note) for _ in range(4)]
        while not all(one.done() for one in noting):
            noted.write()
            await asyncio.sleep(0)
        await asyncio.sleep(metrics.WRITE_SECONDS * 1.5)

    asyncio.run(batches())
    assert registry.get_sample_value("ratchet_batch_rows_sum", {"use_case": "any"}) == 120_000
    assert registry.get_sample_value("ratchet_batch_rows_count", {"use_case": "any"}) == 40_000
    assert registry.get_sample_value("ratchet_batch_rows_bucket", {"use_case": "any", "le": "2.0"}) == 0
    assert registry.get_sample_value("ratchet_batch_rows_bucket", {"use_case": "any", "le": "4.0"}) == 40_000
