"""Retrains and rollbacks over HTTP: requested, followed, stopped; the runs themselves are in flows."""
