"""Challengers made: which a run makes, the rows each learns, its fit and its version; here, or by a pool."""
