"""Measurements against the targets that docs/benchmarks.md sets, one module a benchmark (`bench_*`)."""
