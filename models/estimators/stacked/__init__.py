"""Boosted trees over a record's numbers and over what a linear model says of its texts."""
