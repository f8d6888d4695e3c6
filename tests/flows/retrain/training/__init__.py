"""Challengers made."""
