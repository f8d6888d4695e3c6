"""Connections of the service to PostgreSQL, and what is kept there between requests."""
