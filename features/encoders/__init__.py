"""Checked records as numbers that an estimator learns from, one module a kind; estimators are outside."""
