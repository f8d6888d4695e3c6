"""Fits of rows that are not all in memory, and what fits of all rows would take; estimators are outside."""
