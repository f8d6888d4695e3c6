"""Rows that were refused, kept with the reason and counted by it; trying them again is outside (ingest)."""
