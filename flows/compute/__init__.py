"""Pools that work is given to: the cores of this machine, or a Dask cluster."""
