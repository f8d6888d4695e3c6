"""Estimators that learn from rows of which a part at a time is in hand, here or on a cluster of Dask."""
