"""Challengers judged."""
