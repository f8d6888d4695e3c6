"""Estimators of texts beside columns, with plain scikit-learn beside them: `python -m benchmarks.mixed`."""
