"""Drift checks: what is held against what, and what one found, kept; comparing is in models."""
