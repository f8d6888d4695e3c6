"""Mirrors flows/retention: what goes, what stays, on a real MLflow and a real PostgreSQL."""
