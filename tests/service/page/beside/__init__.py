"""Versions beside production: the one before, and the one that is tried."""
