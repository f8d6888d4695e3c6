"""Snapshots that were taken: which labelled rows each holds, how to read them, what was learned from them."""
